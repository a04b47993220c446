"""Requests and replies on the wire: what botocore's serializers and parsers make of the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any
from unittest import mock

import botocore.auth
import botocore.credentials
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynastash.aws.base import CallError, Operation
from dynastash.aws.direct.connection import Timeouts
from dynastash.aws.direct.http1 import Response
from dynastash.aws.direct.protocol import Codec
from dynastash.aws.direct.service import Service
from dynastash.aws.direct.signing import Credentials
from dynastash.aws.direct.target import Target

_TEXT = st.text(max_size=12)
_NAMES = st.sampled_from(("name", "B", "BS", "S", "L", "M", "Items", "é")) | st.text(min_size=1, max_size=8)
_VALUES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        st.builds(lambda it: {"S": it}, _TEXT),
        st.builds(lambda it: {"N": str(it)}, st.integers()),
        st.builds(lambda it: {"B": it}, st.binary(max_size=20)),
        st.builds(lambda it: {"BS": it}, st.lists(st.binary(max_size=5), max_size=3)),
        st.builds(lambda it: {"SS": it}, st.lists(_TEXT, max_size=3)),
        st.builds(lambda it: {"BOOL": it}, st.booleans()),
        st.just({"NULL": True}),
    ),
    lambda inner: (
        st.builds(lambda it: {"L": it}, st.lists(inner, max_size=3))
        | st.builds(lambda it: {"M": it}, st.dictionaries(_NAMES, inner, max_size=3))
    ),
    max_leaves=8,
)
_ITEM = st.dictionaries(_NAMES, _VALUES, max_size=4)
_CONTEXT = st.dictionaries(_TEXT, _TEXT, max_size=3)

_REQUESTS = st.one_of(
    st.tuples(
        st.sampled_from((Operation.QUERY, Operation.SCAN)),
        st.fixed_dictionaries(
            {"TableName": st.just("t"), "ExpressionAttributeValues": _ITEM, "ExclusiveStartKey": _ITEM},
            optional={"Limit": st.integers(1, 100), "ConsistentRead": st.booleans(), "FilterExpression": _TEXT},
        ),
    ),
    st.tuples(
        st.just(Operation.BATCH_GET_ITEM),
        st.fixed_dictionaries(
            {"RequestItems": st.dictionaries(_NAMES, st.builds(lambda it: {"Keys": it}, st.lists(_ITEM, max_size=3)))}
        ),
    ),
    st.tuples(
        st.just(Operation.TRANSACT_WRITE_ITEMS),
        st.builds(
            lambda items: {"TransactItems": [{"Put": {"TableName": "t", "Item": item}} for item in items]},
            st.lists(_ITEM, max_size=3),
        ),
    ),
    st.tuples(
        st.just(Operation.DECRYPT),
        st.fixed_dictionaries({"CiphertextBlob": st.binary(max_size=40), "EncryptionContext": _CONTEXT}),
    ),
    st.tuples(
        st.just(Operation.GENERATE_DATA_KEY),
        st.fixed_dictionaries({"KeyId": _TEXT, "KeySpec": st.just("AES_256"), "EncryptionContext": _CONTEXT}),
    ),
)

_REPLIES = st.one_of(
    st.tuples(
        st.sampled_from((Operation.QUERY, Operation.SCAN)),
        st.fixed_dictionaries(
            {"Items": st.lists(_ITEM, max_size=3), "Count": st.integers(0, 9)}, optional={"LastEvaluatedKey": _ITEM}
        ),
    ),
    st.tuples(
        st.just(Operation.BATCH_GET_ITEM),
        st.fixed_dictionaries(
            {
                "Responses": st.dictionaries(_NAMES, st.lists(_ITEM, max_size=3), max_size=2),
                "UnprocessedKeys": st.dictionaries(
                    _NAMES, st.builds(lambda keys: {"Keys": keys}, st.lists(_ITEM, max_size=2)), max_size=2
                ),
            }
        ),
    ),
    st.tuples(st.just(Operation.TRANSACT_WRITE_ITEMS), st.just({})),
    st.tuples(st.just(Operation.UPDATE_ITEM), st.fixed_dictionaries({}, optional={"Attributes": _ITEM})),
    st.tuples(
        st.just(Operation.GENERATE_DATA_KEY),
        st.fixed_dictionaries(
            {"KeyId": _TEXT, "Plaintext": st.binary(max_size=40), "CiphertextBlob": st.binary(max_size=40)}
        ),
    ),
    st.tuples(st.just(Operation.DECRYPT), st.fixed_dictionaries({"KeyId": _TEXT, "Plaintext": st.binary(max_size=40)})),
    st.tuples(
        st.just(Operation.RE_ENCRYPT),
        st.fixed_dictionaries({"KeyId": _TEXT, "SourceKeyId": _TEXT, "CiphertextBlob": st.binary(max_size=40)}),
    ),
)


@cache
def model(operation: Operation) -> OperationModel:
    """botocore's."""
    service: Any = botocore.session.get_session().get_service_model(operation.service)
    found: OperationModel = service.operation_model(operation.action)
    return found


def answered(body: bytes, status: int = 200) -> Response:
    """A response with this body."""
    response = Response(1 << 20)
    response.feed(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
    return response


def wired(value: Any) -> Any:
    """A reply with its binary as the services send it."""
    import base64

    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: wired(member) for name, member in value.items()}
    return [wired(member) for member in value] if isinstance(value, list) else value


_SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_SLOW
@given(_REQUESTS)
def test_requests_are_botocores(call: tuple[Operation, dict[str, Any]]) -> None:
    """The same document under the same headers."""
    operation, request = call
    serializer: Any = create_serializer("json", include_validation=False)
    theirs = serializer.serialize_to_request(request, model(operation))
    codec = Codec(operation)
    assert json.loads(codec.body(request)) == json.loads(theirs["body"])
    assert codec.target == theirs["headers"]["X-Amz-Target"]
    assert codec.content_type == theirs["headers"]["Content-Type"]


@_SLOW
@given(_REPLIES)
def test_replies_are_botocores(call: tuple[Operation, dict[str, Any]]) -> None:
    """And what was meant, down to binary in lists in maps, under names like ``B``."""
    operation, reply = call
    body = json.dumps(wired(reply)).encode()
    parser: Any = create_parser("json")
    theirs = parser.parse({"status_code": 200, "headers": {}, "body": body}, model(operation).output_shape)
    del theirs["ResponseMetadata"]
    assert Codec(operation).reply(answered(body)) == theirs == reply


@given(st.sampled_from(list(Operation)), st.integers(200, 599), st.binary(max_size=60))
def test_any_body_is_a_reply_or_our_error(operation: Operation, status: int, body: bytes) -> None:
    """Nothing else comes out of what is no reply, and an error repeats nothing of it."""
    try:
        reply = Codec(operation).reply(answered(body, status))
    except CallError as error:
        assert error.__cause__ is None
    else:
        assert isinstance(reply, dict)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("Items", "B", "BS", "__type", "message", "Plaintext", "CancellationReasons", "Code")),
            inner,
        )
    ),
)


@given(st.sampled_from(list(Operation)), st.sampled_from((200, 400, 500)), _JSON)
def test_any_document_is_a_reply_or_our_error(operation: Operation, status: int, document: Any) -> None:
    """Whatever types stand where."""
    try:
        reply = Codec(operation).reply(answered(json.dumps(document).encode(), status))
    except CallError:
        return
    assert isinstance(reply, dict)


@given(
    token=st.none() | st.text("ABCabc012+/=", min_size=1, max_size=20),
    host=st.sampled_from(("kms.eu-west-1.amazonaws.com", "LOCALHOST", "[::1]", "127.0.0.1")),
    port=st.sampled_from(("", ":80", ":443", ":4566")),
    path=st.sampled_from(("", "/", "/aws", "/a/../b//c", "/a%20b/~c/")),
    scheme=st.sampled_from(("http", "https")),
    body=st.binary(max_size=40),
    operation=st.sampled_from(list(Operation)),
    seconds=st.integers(946_684_800, 4_102_444_800),
)
def test_requests_go_out_with_botocores_signature(
    token: str | None, host: str, port: str, path: str, scheme: str, body: bytes, operation: Operation, seconds: int
) -> None:
    """The whole request as it goes over the wire, signed by botocore once more."""
    codec = Codec(operation)
    url = f"{scheme}://{host}{port}{path}"
    service = Service(codec.service, "eu-west-1", Target(url), None, Timeouts(1, 1, 1), 1)
    credentials = Credentials("AKIAEXAMPLE", "secret", token)
    for _ in range(2):  # the second one has the first one's head
        sent = service.request(credentials, codec.content_type, codec.target, body, seconds)
    head, _, rest = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name: value for name, _, value in (line.partition(": ") for line in lines)}
    assert rest == body
    assert headers.pop("Content-Length") == str(len(body))
    authorization = headers.pop("Authorization")
    request = AWSRequest(
        method="POST", url=f"{scheme}://{headers['host']}{first.split(' ')[1]}", data=body, headers=headers
    )
    signer: Any = botocore.auth.SigV4Auth(
        botocore.credentials.Credentials("AKIAEXAMPLE", "secret", token), codec.service, "eu-west-1"
    )
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda: datetime.fromtimestamp(seconds, UTC)):
        signer.add_auth(request)
    assert request.headers["Authorization"] == authorization
    assert ("x-amz-security-token" in headers) is (token is not None)


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan")])
def test_what_json_has_no_form_for_is_not_shown(value: object) -> None:
    """It could be anything."""
    with pytest.raises(CallError, match="the request is malformed") as caught:
        Codec(Operation.QUERY).body({"hunter2": value})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_other_kinds_of_bytes_and_mappings() -> None:
    """A caller's business."""
    from types import MappingProxyType

    request = {"a": bytearray(b"\xff"), "b": memoryview(b"\xff"), "c": MappingProxyType({"B": b"\xff"}), "d": (1, 2)}
    assert json.loads(Codec(Operation.QUERY).body(request)) == {
        "a": "/w==",
        "b": "/w==",
        "c": {"B": "/w=="},
        "d": [1, 2],
    }


@pytest.mark.parametrize(
    ("body", "arn"),
    [
        (b"<GetCallerIdentityResponse><Arn>arn:x</Arn></GetCallerIdentityResponse>", "arn:x"),
        (b'<?xml?>\n<GetCallerIdentityResponse xmlns="x">\n <Arn>a</Arn></GetCallerIdentityResponse>\n', "a"),
        (b'{"GetCallerIdentityResponse": {"GetCallerIdentityResult": {"Arn": "arn:x"}}}', "arn:x"),
        (b"<GetCallerIdentityResponse><Arn>a</Arn><Arn>b</Arn></GetCallerIdentityResponse>", None),
        (b"<GetCallerIdentityResponse><Arn>a&amp;b</Arn></GetCallerIdentityResponse>", None),
        (b"<GetCallerIdentityResponse><Arn>a</Arn>", None),
        (b"<Other><Arn>a</Arn></Other>", None),
        (b"<GetCallerIdentityResponses><Arn>a</Arn></GetCallerIdentityResponse>", None),
        (b'{"GetCallerIdentityResponse": {"Arn": "arn:x"}}', None),
        (b'{"GetCallerIdentityResponse": {"GetCallerIdentityResult": {"Arn": 5}}}', None),
        (b'{"GetCallerIdentityResponse": []}', None),
    ],
)
def test_of_the_identity_the_arn_is_taken(body: bytes, arn: str | None) -> None:
    """From either form, and from nothing that is in doubt."""
    codec = Codec(Operation.GET_CALLER_IDENTITY)
    if arn is None:
        with pytest.raises(CallError, match="cannot be read"):
            codec.reply(answered(body))
    else:
        assert codec.reply(answered(body)) == {"Arn": arn}

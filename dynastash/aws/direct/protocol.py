"""Requests and replies between the API's shapes and the bytes on the wire.

DynamoDB and KMS speak JSON, with binary in base64: in DynamoDB's attribute values under ``B`` and ``BS`` at any depth,
in KMS's answers in two members. STS speaks forms and XML; of its one answer only the caller's ARN is taken.
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64, crc32
from collections.abc import Callable, Mapping
from typing import Any, Final

from dynastash.aws.base import CallError, Failure, Operation
from dynastash.aws.direct.http1 import Response
from dynastash.aws.errors import answered, malformed_reply, not_from_aws, refuses_time
from dynastash.errors import CredentialsError

_TARGETS: Final = {"dynamodb": "DynamoDB_20120810", "kms": "TrentService"}
_TYPES: Final = {
    "dynamodb": "application/x-amz-json-1.0",
    "kms": "application/x-amz-json-1.1",
    "sts": "application/x-www-form-urlencoded; charset=utf-8",
}
_IDENTITY_FORM: Final = b"Action=GetCallerIdentity&Version=2011-06-15"
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BINARY: Final = ("Plaintext", "CiphertextBlob")

# Members whose contents are gone into by those who asked; another type there is no answer at all.
_LISTS: Final = ("Items",)
_MAPS: Final = ("LastEvaluatedKey", "Responses", "UnprocessedKeys", "Attributes")


class Codec:
    """How an operation of ``service`` goes over the wire: under which ``content_type`` and ``target``, if any."""

    __slots__ = ("_decode", "_operation", "content_type", "service", "target")

    def __init__(self, operation: Operation) -> None:
        self.service = service = operation.service
        self._operation = operation
        self._decode = _DECODERS[service]
        self.content_type = _TYPES[service]
        self.target = f"{_TARGETS[service]}.{operation.action}" if service in _TARGETS else None

    def body(self, request: Mapping[str, Any]) -> bytes:
        """The body for ``request``. Raises :class:`CallError` without showing it where JSON has no form for it."""
        if self.target is None:
            return _IDENTITY_FORM
        try:
            return _encode(request).encode()
        except (TypeError, ValueError, RecursionError):
            pass
        raise CallError(self._operation, Failure.REJECTED, "ParamValidationError", "the request is malformed")

    def reply(self, response: Response) -> dict[str, Any]:
        """The reply in ``response``.

        Raises :class:`CallError`, or :class:`CredentialsError`, for an error answer and for an answer that is not to
        be believed. Nothing of its body is shown but the words of an error.
        """
        expected = response.header("x-amz-crc32")
        if expected is not None and expected != str(crc32(response.body)):
            raise malformed_reply(self._operation)
        if not 200 <= response.status < 300:
            raise refusal(self._operation, response)
        found: dict[str, Any] | None
        try:
            found = self._decode(response.body)
        except (TypeError, ValueError, RecursionError):
            found = None
        if found is None:  # out here: the parser's exception holds the body
            raise malformed_reply(self._operation)
        return found


def refusal(operation: Operation, response: Response) -> CallError | CredentialsError:
    """The error for an answer that says no, or that a server failed."""
    code, message, reasons = _complaint(operation, response)
    return answered(operation, response.status, code, message, reasons)


def server_time(operation: Operation, response: Response) -> float | None:
    """The server's time, in seconds since the epoch, where it refuses the request for being signed at another."""
    if response.status < 400 or not refuses_time(*_complaint(operation, response)[:2]):
        return None
    match (response.header("date") or "").replace(":", " ").split(" "):
        case [_, day, month, year, hour, minute, second, "gmt"] if month in _MONTHS:
            from datetime import UTC, datetime

            try:
                numbers = int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second)
                return datetime(*numbers, tzinfo=UTC).timestamp()
            except (ValueError, OverflowError):
                return None
    return None


def _complaint(operation: Operation, response: Response) -> tuple[str, str, list[tuple[str, str]]]:
    """Code and message of an error answer, and a cancelled transaction's reasons."""
    status = response.status
    document = _error_document(operation, response.body)
    if document is None:
        return str(status), _phrase(status), []
    kind, text = document.get("__type"), document.get("message", document.get("Message"))
    code = kind.split(":", 1)[0].rsplit("#", 1)[-1] if isinstance(kind, str) else str(status)
    reasons = []
    listed = document.get("CancellationReasons")
    for reason in listed if isinstance(listed, list) else []:
        known = reason if isinstance(reason, dict) else {}
        reasons.append((str(known.get("Code", "None")), str(known.get("Message") or "")))
    return code, text if isinstance(text, str) else "", reasons


def _encode_other(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return b2a_base64(value, newline=False).decode()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


_encode: Final = json.JSONEncoder(separators=(",", ":"), default=_encode_other, allow_nan=False).encode


def _with_binary(value: dict[str, Any]) -> dict[str, Any]:
    """An attribute value with its binary as bytes. Whatever is no attribute value has no text under these names."""
    if "B" in value:
        text = value["B"]
        if type(text) is str:
            value["B"] = a2b_base64(text, strict_mode=True)
    elif "BS" in value:
        texts = value["BS"]
        if type(texts) is list and not (texts and type(texts[0]) is dict):  # that would be the items of a table BS
            value["BS"] = [a2b_base64(text, strict_mode=True) for text in texts]
    return value


_decode_plain: Final = json.JSONDecoder().decode
_decode_binary: Final = json.JSONDecoder(object_hook=_with_binary).decode


def _dynamodb(body: bytes) -> dict[str, Any] | None:
    text = str(body, "utf-8")
    found = _decode_binary(text) if '"B' in text else _decode_plain(text)
    return found if type(found) is dict and _shaped(found) else None


def _kms(body: bytes) -> dict[str, Any] | None:
    found = _decode_plain(str(body, "utf-8"))
    if type(found) is not dict:
        return None
    for name in _BINARY:
        if name in found:
            if type(found[name]) is not str:
                return None
            found[name] = a2b_base64(found[name], strict_mode=True)
    return found


def _shaped(found: dict[str, Any]) -> bool:
    for name in _LISTS:
        listed = found.get(name)
        if listed is not None and (type(listed) is not list or any(type(item) is not dict for item in listed)):
            return False
    return all(found.get(name) is None or type(found[name]) is dict for name in _MAPS)


def _error_document(operation: Operation, body: bytes) -> dict[str, Any] | None:
    try:
        if operation.service == "sts" and body.lstrip()[:1] == b"<":
            return _xml_error(str(body, "utf-8"))
        document = _decode_plain(str(body, "utf-8"))
    except (ValueError, RecursionError):
        return None
    return document if type(document) is dict else None


def _phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase if status >= 500 else not_from_aws(status)
    except ValueError:
        return ""


def _identity(body: bytes) -> dict[str, Any] | None:
    import re

    text = str(body, "utf-8").strip()
    if text.startswith("{"):
        result: Any = _decode_plain(text)
        for name in ("GetCallerIdentityResponse", "GetCallerIdentityResult"):
            result = result.get(name) if type(result) is dict else None
        arn = result.get("Arn") if type(result) is dict else None
    else:
        whole = re.fullmatch(
            r"(?:<\?xml[^<>]*\?>\s*)?<GetCallerIdentityResponse[\s>].*</GetCallerIdentityResponse>", text, re.DOTALL
        )
        named = re.findall(r"<Arn>([^<>&]*)</Arn>", whole[0]) if whole else []
        arn = named[0] if len(named) == 1 else None
    return {"Arn": arn} if type(arn) is str else None


def _xml_error(text: str) -> dict[str, Any] | None:
    import re

    found = [re.findall(rf"<{name}>([^<>]*)</{name}>", text) for name in ("Code", "Message")]
    if "<Error>" not in text or len(found[0]) != 1:
        return None
    return {"__type": found[0][0], "message": found[1][0] if found[1] else ""}


_DECODERS: Final[Mapping[str, Callable[[bytes], dict[str, Any] | None]]] = {
    "dynamodb": _dynamodb,
    "kms": _kms,
    "sts": _identity,
}

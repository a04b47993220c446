"""What AWS's answers and botocore's exceptions mean."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from dynastash.aws.base import CallError, Failure, Operation
from dynastash.aws.botoerrors import call_error, configuration_error
from dynastash.aws.errors import answered, credentials_error, one_line
from dynastash.errors import ConfigError, CredentialsError


def answer(code: str, status: int = 400, message: str = "", **more: Any) -> CallError | ConfigError:
    """What an error answer to a Query becomes."""
    response: dict[str, Any] = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return call_error(Operation.QUERY, boto.ClientError(response, "Query"))


@pytest.mark.parametrize(
    ("code", "status", "failure"),
    [
        ("ThrottlingException", 400, Failure.THROTTLED),
        ("Throttling", 400, Failure.THROTTLED),
        ("ProvisionedThroughputExceededException", 400, Failure.THROTTLED),
        ("RequestLimitExceeded", 400, Failure.THROTTLED),
        ("LimitExceededException", 400, Failure.THROTTLED),
        ("TooManyRequestsException", 429, Failure.THROTTLED),
        ("Whatever", 429, Failure.THROTTLED),
        ("SlowDown", 503, Failure.THROTTLED),
        ("TransactionInProgressException", 400, Failure.THROTTLED),
        ("TransactionConflictException", 400, Failure.THROTTLED),
        ("InternalServerError", 500, Failure.AMBIGUOUS),
        ("KMSInternalException", 500, Failure.AMBIGUOUS),
        ("KeyUnavailableException", 500, Failure.AMBIGUOUS),
        ("DependencyTimeoutException", 400, Failure.AMBIGUOUS),
        ("Whatever", 500, Failure.AMBIGUOUS),
        ("502", 502, Failure.AMBIGUOUS),
        ("ServiceUnavailable", 503, Failure.AMBIGUOUS),
        ("RequestTimeout", 400, Failure.AMBIGUOUS),
        ("ValidationException", 400, Failure.REJECTED),
        ("AccessDeniedException", 400, Failure.REJECTED),
        ("ConditionalCheckFailedException", 400, Failure.REJECTED),
        ("ResourceNotFoundException", 400, Failure.REJECTED),
        ("DisabledException", 400, Failure.REJECTED),
        ("KMSInvalidStateException", 400, Failure.REJECTED),
    ],
)
def test_each_code_leaves_something_open(code: str, status: int, failure: Failure) -> None:
    """Throttling comes with 400 as well as 429 and 503; a server's own failure may follow the work."""
    error = answer(code, status)
    assert isinstance(error, CallError)
    assert (error.failure, error.code) == (failure, code)
    assert error.uncertain == (failure is Failure.AMBIGUOUS)


@pytest.mark.parametrize(
    ("codes", "failure"),
    [
        (["None", "ThrottlingError"], Failure.THROTTLED),
        (["ProvisionedThroughputExceeded", "None", "ThrottlingError"], Failure.THROTTLED),
        (["ConditionalCheckFailed", "ThrottlingError"], Failure.REJECTED),
        (["TransactionConflict", "ThrottlingError"], Failure.REJECTED),
        (["TransactionConflict"], Failure.REJECTED),
        (["ValidationError"], Failure.REJECTED),
        (["None", "None"], Failure.REJECTED),
        ([], Failure.REJECTED),
    ],
)
def test_a_cancelled_transaction_is_throttled_only_if_nothing_else_is_wrong(codes: list[str], failure: Failure) -> None:
    """The reasons come along, in the order of the actions."""
    error = answer("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])
    assert isinstance(error, CallError)
    assert (error.failure, list(error.reasons)) == (failure, codes)


def test_a_cancelled_transaction_says_what_its_first_reason_says() -> None:
    """AWS's own message only repeats the codes."""
    reasons = [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"},
        {"Code": "ValidationError", "Message": "Missing the key version in the item."},
    ]
    error = answer("TransactionCanceledException", message="Transaction cancelled", CancellationReasons=reasons)
    assert isinstance(error, CallError)
    assert error.message == "Missing the key version in the item"


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("ExpiredToken", "", "expired"),
        ("ExpiredTokenException", "", "expired"),
        ("UnrecognizedClientException", "The security token included in the request is invalid.", "does not know"),
        ("InvalidClientTokenId", "", "does not know"),
        ("InvalidSignatureException", "The request signature we calculated does not match", "signature"),
        ("SignatureDoesNotMatch", "", "signature"),
        ("InvalidSignatureException", "Signature expired: 20261101T000000Z is now earlier than …", "time"),
        ("SignatureDoesNotMatch", "Signature not yet current: 20261101T000000Z is still later than …", "time"),
        ("RequestTimeTooSkewed", "", "time"),
        ("MissingAuthenticationToken", "", "incomplete"),
        ("IncompleteSignature", "", "incomplete"),
    ],
)
def test_complaints_of_credentials_are_the_callers_to_mend(code: str, message: str, said: str) -> None:
    """Each names its code, and its hint says what to do about it."""
    error = answer(code, 400, message)
    assert type(error) is CredentialsError
    assert said in str(error)
    assert code in str(error)
    assert error.hint
    if said == "time":
        assert "clock" in error.hint


def test_an_ordinary_refusal_is_no_complaint_of_credentials() -> None:
    """Being denied is the store's or the key provider's to say."""
    assert credentials_error("AccessDeniedException", "") is None


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"Error": None},
        {"Error": {"Code": 5, "Message": ["x"]}, "ResponseMetadata": {"HTTPStatusCode": "x"}},
        {"Error": {"Code": "X"}, "CancellationReasons": "y", "ResponseMetadata": []},
        {"Error": {"Code": "X"}, "CancellationReasons": [None, {"Code": {"a": 1}}, {"Message": 3}]},
    ],
)
def test_a_malformed_error_answer_is_still_an_error(response: dict[str, Any]) -> None:
    """Whoever answers may be hostile: no other exception comes out."""
    error = boto.ClientError({"Error": {}}, "Query")
    error.response = response  # type: ignore[assignment]
    translated = call_error(Operation.QUERY, error)
    assert isinstance(translated, CallError)
    assert translated.failure is Failure.REJECTED


def test_a_failure_on_the_way_to_credentials_says_at_least_its_code() -> None:
    """STS does not always explain itself."""
    response: Any = {"Error": {"Code": "Busy"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
    translated = call_error(Operation.QUERY, boto.ClientError(response, "AssumeRole"))
    assert isinstance(translated, CallError)
    assert (translated.failure, translated.message) == (Failure.UNREACHABLE, "Busy")


def test_text_of_strangers_is_put_on_one_line() -> None:
    """No terminal escapes, no line breaks, bounded length, no final full stop."""
    assert one_line("a\x1b[31m\n b\t\u202ec.") == "a [31m b c"
    assert len(one_line("x" * 10_000)) <= 401
    error = answered(Operation.QUERY, 400, "Evil\nCode", "evil\r\nmessage.")
    assert str(error) == "Query: Evil Code: evil message"


URL = {"endpoint_url": "https://dynamodb.eu-west-1.amazonaws.com/"}


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (boto.EndpointConnectionError(error="refused", **URL), Failure.UNREACHABLE),
        (boto.ConnectTimeoutError(error="timed out", **URL), Failure.UNREACHABLE),
        (boto.ProxyConnectionError(proxy_url="http://proxy:8080"), Failure.UNREACHABLE),
        (boto.ReadTimeoutError(error="timed out", **URL), Failure.AMBIGUOUS),
        (boto.ConnectionClosedError(error="reset", **URL), Failure.AMBIGUOUS),
        (boto.ResponseStreamingError(error="cut"), Failure.AMBIGUOUS),
        (boto.HTTPClientError(error="something"), Failure.AMBIGUOUS),
        (boto.SSLError(error="EOF occurred in violation of protocol", **URL), Failure.AMBIGUOUS),
        (ResponseParserError("not JSON"), Failure.AMBIGUOUS),
        (ValueError("unreadable"), Failure.AMBIGUOUS),
        (boto.ParamValidationError(report="Invalid value for KeyId: hunter2"), Failure.REJECTED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_calls_without_an_answer(error: Exception, failure: Failure) -> None:
    """Whether a connection came about decides; what botocore shows of a request is not repeated."""
    translated = call_error(Operation.QUERY, error)
    assert isinstance(translated, CallError)
    assert translated.failure is failure
    assert translated.message
    assert "hunter2" not in str(translated)


@pytest.mark.parametrize(
    ("error", "kind", "said", "hinted"),
    [
        (boto.NoRegionError(), ConfigError, "no AWS region", "AWS_REGION"),
        (boto.NoCredentialsError(), CredentialsError, "no AWS credentials", "aws sso login"),
        (
            boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
            CredentialsError,
            "AWS_SECRET_ACCESS_KEY is missing",
            "AWS_ACCESS_KEY_ID",
        ),
        (boto.ProfileNotFound(profile="nobody"), ConfigError, "profile nobody does not exist", "list-profiles"),
        (boto.ConfigParseError(path="/home/me/.aws/config"), ConfigError, "/home/me/.aws/config", "AWS_CONFIG_FILE"),
        (boto.ConfigNotFound(path="/nowhere"), ConfigError, "/nowhere", "AWS_CONFIG_FILE"),
        (boto.UnauthorizedSSOTokenError(), CredentialsError, "SSO login", "aws sso login --profile work"),
        (boto.SSOTokenLoadError(error_msg="x"), CredentialsError, "SSO login", "aws sso login --profile work"),
        (
            boto.TokenRetrievalError(provider="sso", error_msg="x"),
            CredentialsError,
            "SSO login",
            "aws sso login --profile work",
        ),
        (
            boto.CredentialRetrievalError(provider="container-role", error_msg="404"),
            CredentialsError,
            "container-role: 404",
            "--profile work",
        ),
        (
            boto.CredentialRetrievalError(provider="custom-process", error_msg="hunter2"),
            CredentialsError,
            "the credential process failed",
            "get-caller-identity",
        ),
        (boto.RefreshWithMFAUnsupportedError(), CredentialsError, "MFA", "get-caller-identity"),
        (
            boto.InfiniteLoopConfigError(source_profile="a", visited_profiles=["a"]),
            ConfigError,
            "configuration is invalid: infinite loop",
            "AWS config file",
        ),
        (boto.InvalidRegionError(region_name="not a region"), ConfigError, "not a region", "region"),
        (ValueError("Invalid endpoint: nonsense"), ConfigError, "invalid endpoint: nonsense", "endpoint_url"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_cannot_be_configured(error: Exception, kind: type[ConfigError], said: str, hinted: str) -> None:
    """One clear line and the next step, whether it comes up before or within a call."""
    translated = configuration_error(error, "work")
    assert type(translated) is kind
    assert said in str(translated)
    assert hinted in (translated.hint or "")
    assert "hunter2" not in str(translated)
    if isinstance(error, boto.BotoCoreError):
        within = call_error(Operation.QUERY, error, "work")
        assert (type(within), str(within)) == (kind, str(translated))


def test_a_newer_login_is_known_where_botocore_knows_it() -> None:
    """aws login is younger than the oldest botocore that dynastash works with."""
    login = getattr(boto, "LoginRefreshRequired", None)
    if login is None:
        pytest.skip("this botocore has no aws login")
    assert configuration_error(login(), "default").hint == "run aws login"


@pytest.mark.parametrize(
    ("operation", "code", "status", "kind", "said"),
    [
        ("AssumeRole", "AccessDenied", 403, CredentialsError, "role cannot be assumed: not you"),
        ("AssumeRoleWithWebIdentity", "InvalidIdentityToken", 400, CredentialsError, "role cannot be assumed"),
        ("AssumeRole", "ExpiredToken", 403, CredentialsError, "expired"),
        ("GetRoleCredentials", "UnauthorizedException", 401, CredentialsError, "GetRoleCredentials"),
        ("AssumeRole", "Throttling", 400, CallError, "Throttling"),
        ("AssumeRole", "InternalFailure", 500, CallError, "InternalFailure"),
    ],
)
def test_refusals_while_getting_credentials(operation: str, code: str, status: int, kind: type, said: str) -> None:
    """botocore's own calls fail in the middle of ours: they are told apart, and patience still helps where it can."""
    response: Any = {"Error": {"Code": code, "Message": "not you"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    translated = call_error(Operation.QUERY, boto.ClientError(response, operation))
    assert type(translated) is kind
    assert said in str(translated)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed", "cannot be verified"),
        ("[Errno 2] No such file or directory", "cannot be read"),
        ("[X509: NO_CERTIFICATE_OR_CRL_FOUND]", "cannot be read"),
    ],
)
def test_tls_that_patience_does_not_mend(text: str, said: str) -> None:
    """An unknown authority and a missing bundle are for the configuration."""
    translated = call_error(Operation.QUERY, boto.SSLError(error=text, **URL))
    assert isinstance(translated, ConfigError)
    assert said in str(translated)
    assert "AWS_CA_BUNDLE" in (translated.hint or "")

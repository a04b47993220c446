"""The module ``credstash``: its names, parameters and results, as credstash's own tests and Ansible use them."""

from __future__ import annotations

import argparse
import inspect
import os
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

import credstash
import dynastash
from credstash.clients import ClientTransport
from dynastash.aws.base import Operation
from dynastash.errors import ConfigError, CredentialsError, DynastashError, InvalidArgumentError, PartialError
from tests.dropin.kit import ROOT, Old, ensure_alias
from tests.engines.engine import REGION

ZEROS = "0" * 19


@pytest.fixture(autouse=True)
def no_sessions() -> None:
    """Each test begins without."""
    credstash.reset_sessions()


# credstash's own cases


@pytest.mark.engine
def test_what_was_put_is_listed_got_and_deleted(old: Old) -> None:
    """Without a version that is version 0."""
    credstash.putSecret("test", "secret", table=old.name)
    assert credstash.listSecrets(table=old.name) == [{"name": "test", "version": ZEROS}]
    assert credstash.getSecret("test", table=old.name) == "secret"
    assert credstash.getAllSecrets(table=old.name) == {"test": "secret"}
    credstash.deleteSecrets("test", table=old.name)
    assert credstash.listSecrets(table=old.name) == []
    assert credstash.getAllSecrets(table=old.name) == {}
    credstash.deleteSecrets("test", table=old.name)  # as a test's clean-up does


@pytest.mark.engine
def test_what_is_not_there(old: Old) -> None:
    """An item; a table, here in another Region."""
    with pytest.raises(credstash.ItemNotFound, match=r"Item {'name': 'bad secret'} couldn't be found\."):
        credstash.getSecret("bad secret", table=old.name)
    with pytest.raises(ClientError) as caught:
        credstash.getSecret("test", region="us-west-2", table=old.name)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert isinstance(caught.value, DynastashError)
    assert "does not exist, and neither does an environment" in str(caught.value)


ONE = ["a", "b", "ab", " a", " b", "ba", "abc", "a[any]z", "a b", "aabb"]
TWO = ["QQQ", "QVQQ", "QVQVQ", "QQ", "Q", "QQVQ", "QrEQrE", "QErQE"]


@pytest.mark.parametrize(
    ("pattern", "names", "found"),
    [
        ("a", ONE, ["a"]),
        ("ba", ONE, ["ba"]),
        ("abc", ONE, ["abc"]),
        ("a*z", ONE, ["a[any]z"]),
        ("a*b", ONE, ["ab", "a b", "aabb"]),
        ("Q*Q*Q", TWO, ["QQQ", "QVQQ", "QVQVQ", "QQVQ"]),
        ("Q*E*Q*E", TWO, ["QrEQrE", "QErQE"]),
        ("*", ["", "a\nb"], ["", "a\nb"]),
        ("a**a", ["a", "aa", "aba"], ["aa", "aba"]),
        ("ab*ba", ["aba", "abba"], ["abba"]),
    ],
)
def test_expand_wildcard(pattern: str, names: list[str], found: list[str]) -> None:
    """In the order that they came in; what overlaps is not counted twice."""
    assert credstash.expand_wildcard(pattern, names) == found


@pytest.mark.parametrize("text", ["key1==value1", "", "key1=value1=value2", "key1=", "=value1", "key1"])
def test_what_is_no_pair(text: str) -> None:
    """As a parser of arguments wants to hear it."""
    with pytest.raises(argparse.ArgumentTypeError, match="is not the form of"):
        credstash.key_value_pair(text)


def test_a_pair() -> None:
    """A list of two."""
    assert credstash.key_value_pair("key1=value1") == ["key1", "value1"]


@pytest.mark.parametrize(
    ("number", "padded"),
    [
        (0, ZEROS),
        (10, "0000000000000000010"),
        (98218329123, "0000000098218329123"),
        (12345678901234567890123, "12345678901234567890123"),
        ("", ZEROS),
    ],
)
def test_padded_int(number: int | str, padded: str) -> None:
    """19 digits; never cut."""
    assert credstash.paddedInt(number) == padded


def test_sessions_are_kept() -> None:
    """One for each set of credentials; the last one for whoever names none; none after reset_sessions."""
    with patch("boto3.Session", side_effect=lambda **given: object()) as made:
        default = credstash.get_session()
        assert credstash.get_session() is default
        assert made.call_count == 1
        one = credstash.get_session(aws_access_key_id="one")
        made.assert_called_with(
            aws_access_key_id="one", aws_secret_access_key=None, aws_session_token=None, profile_name=None
        )
        assert credstash.get_session() is one
        two = credstash.get_session(aws_access_key_id="two")
        assert credstash.get_session() is two
        assert credstash.get_session(aws_access_key_id="one") is one
        assert credstash.get_session() is one
        assert credstash.get_session(profile_name="p") is not one
        made.assert_called_with(profile_name="p")
        credstash.reset_sessions()
        assert credstash.get_session() is not default


class Kms:
    """A KMS client that answers as it is told, and keeps what it was asked."""

    def __init__(self, answer: dict[str, Any] | str) -> None:
        self.answer, self.asked = answer, []  # type: ignore[var-annotated]

    def generate_data_key(self, **request: Any) -> dict[str, Any]:
        return self._answered("GenerateDataKey", request)

    def decrypt(self, **request: Any) -> dict[str, Any]:
        return self._answered("Decrypt", request)

    def _answered(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        if isinstance(self.answer, str):
            raise ClientError({"Error": {"Code": self.answer, "Message": "made up"}}, operation)
        return dict(self.answer)


@pytest.mark.engine
def test_what_kms_is_asked_and_what_becomes_of_its_errors(old: Old) -> None:
    """The parameters of both requests; every refusal is a KmsError; nothing is written then."""
    kms = Kms({"Plaintext": bytes(64), "CiphertextBlob": b"wrapped", "KeyId": "k"})
    credstash.putSecret("a", "x", "1", "test", context={"env": "prod"}, table=old.name, kms=kms)
    assert kms.asked == [{"KeyId": "test", "NumberOfBytes": 64, "EncryptionContext": {"env": "prod"}}]
    assert credstash.getSecret("a", table=old.name, context={"env": "prod"}, kms=kms) == "x"
    assert kms.asked[1:] == [
        {"CiphertextBlob": b"wrapped", "EncryptionContext": {"env": "prod"}, "KeyId": "alias/credstash"}
    ]
    for code, said in (
        ("AccessDeniedException", "kms:Decrypt is denied"),
        ("NotFoundException", "alias/credstash in its Region does not exist"),
        ("InvalidCiphertextException", "put with another context, or altered"),
        ("IncorrectKeyException", "wrapped under another than alias/credstash"),
        ("DisabledException", "is disabled"),
    ):
        with pytest.raises(credstash.KmsError, match=f"KMS ERROR: .*{said}") as caught:
            credstash.getSecret("a", table=old.name, kms=Kms(code))
        assert caught.value.hint
        if code != "InvalidCiphertextException":
            with pytest.raises(credstash.KmsError):
                credstash.putSecret("b", "x", table=old.name, kms=Kms(code))
    assert [one["name"]["S"] for one in old.items()] == ["a"]


# Parameters and results


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        ("getSecret", "name version region table context dynamodb kms kms_region"),
        ("putSecret", "name secret version kms_key region table context digest comment kms dynamodb kms_region"),
        ("putSecretAutoversion", "name secret kms_key region table context digest comment kms_region"),
        ("getAllSecrets", "version region table context credential session kms_region"),
        ("listSecrets", "region table session"),
        ("deleteSecrets", "name region table"),
        ("createDdbTable", "region table tags"),
        ("getHighestVersion", "name region table"),
        ("get_session", "aws_access_key_id aws_secret_access_key aws_session_token profile_name"),
    ],
)
def test_the_parameters_are_credstashs(function: str, parameters: str) -> None:
    """Their names, in their order."""
    found = inspect.signature(getattr(credstash, function)).parameters
    assert [name for name in found if name != "kwargs"] == parameters.split()
    assert all(one.default == "credential-store" for name, one in found.items() if name == "table")


@pytest.mark.engine
def test_ansibles_call(old: Old) -> None:
    """As community.general.credstash makes it, None for what nobody set; its one exception by name."""
    credstash.putSecret("term", "x", "1", context={"app": "a"}, table=old.name)
    nobody = dict.fromkeys(("profile_name", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"))
    for credentials in (nobody, {**nobody, "aws_access_key_id": "AKIATEST", "aws_secret_access_key": "not-a-secret"}):
        assert credstash.getSecret("term", "", None, old.name, context={"app": "a"}, **credentials) == "x"
        assert credstash.getSecret("term", "1", REGION, old.name, context={"app": "a"}, **credentials) == "x"
        with pytest.raises(credstash.ItemNotFound):
            credstash.getSecret("none", "", None, old.name, context={}, **credentials)


@pytest.mark.engine
def test_a_version_that_is_there_is_a_client_error(old: Old) -> None:
    """Whose code programs look at."""
    made = credstash.putSecret("a", "x", "1", table=old.name)
    assert (made["Version"], made["ResponseMetadata"]["HTTPStatusCode"]) == (f"{1:019}", 200)
    with pytest.raises(ClientError) as caught:
        credstash.putSecret("a", "y", "1", table=old.name)
    assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"


@pytest.mark.engine
def test_versions_and_comments(old: Old) -> None:
    """getHighestVersion has 0 for none; a comment is listed where there is one."""
    assert credstash.getHighestVersion("a", table=old.name) == 0
    credstash.putSecret("a", "x", "1", comment="why", table=old.name)
    credstash.putSecretAutoversion("a", "y", table=old.name, digest="SHA512")
    assert credstash.getHighestVersion("a", table=old.name) == f"{2:019}"
    assert credstash.listSecrets(table=old.name) == [
        {"name": "a", "version": f"{1:019}", "comment": "why"},
        {"name": "a", "version": f"{2:019}"},
    ]
    assert credstash.getAllSecrets("1", table=old.name) == {"a": "x"}


@pytest.mark.engine
def test_all_that_fit_a_pattern(old: Old) -> None:
    """credential is a pattern, or a name; credstash ignores a name and returns everything."""
    for name in ("app/a", "app/b", "c"):
        credstash.putSecret(name, name, table=old.name)
    assert credstash.getAllSecrets(credential="app/*", table=old.name) == {"app/a": "app/a", "app/b": "app/b"}
    assert credstash.getAllSecrets(credential="c", table=old.name) == {"c": "c"}


@pytest.mark.engine
def test_all_or_nothing(old: Old) -> None:
    """The error of the one that fails; with several, all of them."""
    for name in ("a", "b", "c"):
        credstash.putSecret(name, "x", table=old.name)
    old.rewrite("a", ZEROS, hmac={"S": "00" * 32})
    with pytest.raises(credstash.IntegrityError, match=r"INTEGRITY ERROR: version 0+ of a: the contents fail"):
        credstash.getAllSecrets(table=old.name)
    old.rewrite("b", ZEROS, hmac={"S": "00" * 32})
    with pytest.raises(PartialError) as caught:
        credstash.getAllSecrets(table=old.name)
    assert sorted(caught.value.failures) == ["a", "b"]


@pytest.mark.engine
def test_the_callers_own_boto3_objects(old: Old) -> None:
    """A resource and a client for one call; a session for the others; bytes and all."""
    session = old.engine.session()
    make: Any = session.resource
    dynamodb = make("dynamodb", endpoint_url=old.engine.endpoint_url)
    kms = old.engine.client("kms")
    own = {"dynamodb": dynamodb, "kms": kms, "table": old.name}
    credstash.putSecret("a", b"\x00\xff", "1", comment="why", **own)
    assert credstash.getSecret("a", **own) == b"\x00\xff"
    old.add("a", f"{2:019}", b"credstash's")  # whose hmac is binary
    assert credstash.getSecret("a", **own) == "credstash's"
    assert credstash.getSecret("a", dynamodb=old.engine.client("dynamodb"), kms=kms, table=old.name) == "credstash's"
    with pytest.raises(credstash.ItemNotFound):
        credstash.getSecret("a", "3", **own)
    assert credstash.getAllSecrets("1", table=old.name, session=session) == {"a": b"\x00\xff"}
    assert len(credstash.listSecrets(table=old.name, session=session)) == 2
    ensure_alias(old.engine, "us-east-1")
    credstash.putSecret("e", "x", dynamodb=dynamodb, kms_region="us-east-1", table=old.name)
    assert credstash.getSecret("e", dynamodb=dynamodb, kms_region="us-east-1", table=old.name) == "x"
    with pytest.raises((credstash.KmsError, credstash.IntegrityError)):  # the engine opens it, wrongly
        credstash.getSecret("e", dynamodb=dynamodb, table=old.name)


@pytest.mark.engine
def test_the_calls_that_are_made(old: Old) -> None:
    """One to the table and one to KMS for a secret; one Scan for all of them; and none to find out what a name means.

    credstash makes 401 for 200 secrets.
    """
    calls: Counter[str] = Counter()
    session = old.engine.session()
    session.events.register("before-call", lambda model, **_: calls.update([model.name]))
    make: Any = session
    endpoint = {"endpoint_url": old.engine.endpoint_url}
    own = {"dynamodb": make.resource("dynamodb", **endpoint), "kms": make.client("kms", **endpoint), "table": old.name}

    def made(call: Callable[[], object]) -> dict[str, int]:
        calls.clear()
        call()
        return dict(calls)

    assert made(lambda: credstash.putSecret("a", "x", **own)) == {"GenerateDataKey": 1, "PutItem": 1}
    assert made(lambda: credstash.getSecret("a", **own)) == {"Query": 1, "Decrypt": 1}
    for number in range(5):
        credstash.putSecret(f"b{number}", "x", **own)
    shared = {"table": old.name, "session": session}
    assert made(lambda: credstash.getAllSecrets(**shared)) == {"Scan": 1, "Decrypt": 6}
    assert made(lambda: credstash.getAllSecrets(credential="b*", **shared)) == {"Scan": 1, "Decrypt": 5}
    assert made(lambda: credstash.listSecrets(**shared)) == {"Scan": 1}


def test_a_client_that_is_not_there() -> None:
    """An environment takes both or none."""
    transport = ClientTransport(kms=object())
    assert transport.region == "its Region"
    with pytest.raises(InvalidArgumentError, match="no client for dynamodb"):
        transport.call(Operation.QUERY, {})
    with pytest.raises(CredentialsError):
        transport.access_key()


@pytest.mark.engine
def test_the_programs_last_session_is_used(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only one that it asked for: a call's own credentials are that call's."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    own = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "not-a-secret"}
    credstash.putSecret("a", "x", table=old.name, **own)
    with pytest.raises(CredentialsError):
        credstash.getSecret("a", table=old.name)
    credstash.get_session(**own)
    assert credstash.getSecret("a", table=old.name) == "x"
    assert credstash.getAllSecrets(table=old.name) == {"a": "x"}


def test_no_region_is_an_error(home: object) -> None:
    """Of the library's; the command line has a last resort."""
    with pytest.raises(ConfigError, match="no AWS region is set"):
        credstash.getSecret("a")


@pytest.mark.parametrize(
    "call",
    [
        lambda: credstash.getSecret("a", colour="red"),
        lambda: credstash.listSecrets(profile="p"),
    ],
)
def test_an_unknown_parameter(home: object, call: Any) -> None:
    """A mistake of the program's."""
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        call()


@pytest.mark.engine
def test_making_a_table(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    """Silently, and again without harm; never over another kind of table."""
    name = f"{old.name}-made"
    for _ in range(2):
        credstash.createDdbTable(table=name, tags=[("team", "a")])
    credstash.putSecret("a", "x", table=name)
    other = old.engine.create_table()
    with pytest.raises(ClientError, match="is none of credstash's"):
        credstash.createDdbTable(table=f"credstash:{other}")
    with pytest.raises(ConfigError, match="is the environment prod, which is made in another way"):
        credstash.createDdbTable(table="environment:prod")
    assert capsys.readouterr() == ("", "")


UNDER_MOTO = """
import boto3, moto
with moto.mock_aws():
    kms = boto3.client("kms")
    kms.create_alias(AliasName="alias/credstash", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    import credstash
    credstash.createDdbTable()
    credstash.putSecret("a", "x")
    assert credstash.getSecret("a") == "x"
"""


def test_under_a_mock_of_boto3s(home: Path) -> None:
    """Programs test themselves with moto: the calls go where it stands."""
    env = {**os.environ, "AWS_DEFAULT_REGION": REGION, "PYTHONPATH": f"{ROOT}:{ROOT / 'dropin'}"}
    done = subprocess.run([sys.executable, "-c", UNDER_MOTO], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_module_has_what_it_says() -> None:
    """And nothing else by its old internal names."""
    for name in credstash.__all__:
        assert getattr(credstash, name)
    assert dir(credstash) == credstash.__all__ == sorted(credstash.__all__)
    with pytest.raises(AttributeError):
        credstash.KeyService  # noqa: B018


def test_the_texts_of_the_errors() -> None:
    """As credstash marks them."""
    assert str(credstash.KmsError()) == credstash.KmsError().value == "KMS ERROR"
    assert str(credstash.KmsError("x")) == "KMS ERROR: x"
    assert str(credstash.IntegrityError()) == "INTEGRITY ERROR"
    assert str(credstash.IntegrityError("x")) == "INTEGRITY ERROR: x"


def test_the_distribution_goes_with_the_library() -> None:
    """The same release of both: the drop-in stands on modules that are no public interface."""
    project = tomllib.loads((ROOT / "dropin/pyproject.toml").read_text())["project"]
    assert project["version"] == dynastash.__version__
    assert project["dependencies"] == [f"dynastash=={dynastash.__version__}"]
    assert project["scripts"] == {"credstash": "credstash.cli:main"}

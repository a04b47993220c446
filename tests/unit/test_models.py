"""The domain's values: what must not show does not, and names, numbers, pairs and times keep to their limits."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hmac
import io
import json
import logging
import pickle
import pprint
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest

from dynastash.errors import InvalidArgumentError, InvalidNameError, ValueTooLargeError
from dynastash.models import (
    MAX_VERSION,
    Context,
    DataKey,
    Head,
    Plaintext,
    Secret,
    Stage,
    State,
    Version,
    WrappedKey,
    check_environment,
    check_name,
    check_pairs,
    check_prefix,
    check_version,
    encode,
    from_ms,
    from_seconds,
    namespace_of,
)

VALUE = b"hunter2-\xff-correct-horse!!-32b-xy"
"""32 bytes, so that it does for a data key as well; not UTF-8, so that decoding it fails."""

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def secret(value: bytes = VALUE) -> Secret:
    return Secret(
        version=Version(name="app1/db", number=3, created_at=CREATED, created_by="arn"),
        plaintext=Plaintext(value),
        tags={"team": "payments"},
    )


HOLDERS = {"Plaintext": Plaintext(VALUE), "DataKey": DataKey(VALUE), "Secret": secret()}


def shows(text: str) -> bool:
    """Whether ``text`` gives the value away: as it is, as repr, in hex, in base64, or in part."""
    forms = [repr(VALUE)[2:-1], VALUE.decode("latin-1"), VALUE.hex(), base64.b64encode(VALUE).decode()[:40]]
    return any(form in text for form in (*forms, "hunter2", "correct-horse"))


def test_the_detector_detects() -> None:
    """Each form in which the value could show is recognized, or the tests below would prove nothing."""
    for text in (repr(VALUE), str(VALUE), VALUE.hex(), base64.b64encode(VALUE).decode(), repr({"value": VALUE})):
        assert shows(text)
    assert not shows("Plaintext(hidden)")


def logged(thing: object) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.error("%s %r", thing, thing)
    return stream.getvalue()


SHOWN: dict[str, Any] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "f-string": lambda thing: f"{thing} {thing!r} {thing!s} {thing!a}",
    "percent": lambda thing: "%s %r" % (thing, thing),  # noqa: UP031
    "pprint": pprint.pformat,
    "in a container": lambda thing: repr([{"secret": thing}, (thing,)]),
    "logging": logged,
    "asdict": lambda thing: repr(dataclasses.asdict(Box(thing))),
    "astuple": lambda thing: repr(dataclasses.astuple(Box(thing))),
    "replace": lambda thing: repr(dataclasses.replace(Box(thing))),
    "dir": lambda thing: repr(dir(thing)),
    "copy": lambda thing: repr(copy.copy(thing)),
    "deepcopy": lambda thing: repr(copy.deepcopy(thing)),
    "json with a default": lambda thing: json.dumps(thing, default=repr),
    "assertion": lambda thing: _raised(lambda: _fail(thing)),
    "unknown attribute": lambda thing: _raised(lambda: thing.no_such_attribute),
}


@dataclasses.dataclass
class Box:
    """Somebody's own dataclass around a value of ours."""

    content: object


def _fail(thing: object) -> None:
    assert thing == object(), f"{thing}"


def _raised(act: Any) -> str:
    try:
        act()
    except Exception:
        return traceback.format_exc()
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("how", SHOWN)
@pytest.mark.parametrize("kind", HOLDERS)
def test_no_way_of_printing_shows_the_value(kind: str, how: str) -> None:
    """repr, str, format, logging, dataclass helpers, copies, error messages."""
    text = SHOWN[how](HOLDERS[kind])
    assert text
    assert not shows(text)


def test_a_secrets_own_asdict_hides_the_value() -> None:
    """``asdict`` goes past ``repr=False``; here it finds an object that hides its bytes."""
    as_dict = dataclasses.asdict(secret())
    assert as_dict["plaintext"] == Plaintext(VALUE)
    assert not shows(repr(as_dict))
    assert not shows(json.dumps(as_dict, default=str))


@pytest.mark.parametrize("kind", HOLDERS)
def test_no_vars(kind: str) -> None:
    """There is no ``__dict__`` to look into."""
    with pytest.raises(TypeError):
        vars(HOLDERS[kind])


@pytest.mark.parametrize("kind", HOLDERS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_refused(kind: str, protocol: int) -> None:
    """A pickle would leave the process in the clear."""
    stream = io.BytesIO()
    with pytest.raises(TypeError, match="not pickled") as caught:
        pickle.dump(HOLDERS[kind], stream, protocol)
    assert VALUE not in stream.getvalue()
    assert not shows(str(caught.value))


@pytest.mark.parametrize("kind", HOLDERS)
def test_json_is_refused(kind: str) -> None:
    """No encoder takes it by accident."""
    with pytest.raises(TypeError) as caught:
        json.dumps({"secret": HOLDERS[kind]})
    assert not shows(str(caught.value))


@pytest.mark.parametrize("kind", HOLDERS)
def test_copies_are_equal_and_hold_the_value(kind: str) -> None:
    """Copying works, which it has to inside ``asdict``, and loses nothing."""
    original = HOLDERS[kind]
    for made in (copy.copy(original), copy.deepcopy(original)):
        assert made == original
    assert copy.deepcopy(secret()).value == VALUE


@pytest.mark.parametrize("kind", ["Plaintext", "DataKey"])
def test_hidden_values_have_no_bytes_length_iteration_or_hash(kind: str) -> None:
    """Nothing that works on bytes works on them, and they cannot be keys of a cache."""
    hidden = HOLDERS[kind]
    for act in (bytes, len, iter, hash, memoryview, lambda it: it[0], lambda it: it + b"", lambda it: b"" + it):
        with pytest.raises(TypeError):
            act(hidden)
    with pytest.raises(TypeError):
        hash(secret())


def test_values_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equality is ``hmac.compare_digest``'s answer, and of one type only."""
    assert Plaintext(VALUE) == Plaintext(bytearray(VALUE))
    assert Plaintext(VALUE) != Plaintext(VALUE[:-1])
    assert Plaintext(VALUE) != Plaintext(VALUE[:-1] + b"z")
    assert Plaintext(VALUE) != DataKey(VALUE)
    assert Plaintext(VALUE) != VALUE
    assert Plaintext(b"") == Plaintext(b"")
    assert Plaintext(b"") != b""
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((one, other)) or True)
    assert Plaintext(b"one") == Plaintext(b"other")
    assert compared == [(b"one", b"other")]


@pytest.mark.parametrize("junk", [5, None, "text", [1, 2], 1.0, {"a": 1}, True])
@pytest.mark.parametrize("kind", [Plaintext, DataKey])
def test_only_bytes_are_hidden(kind: Any, junk: Any) -> None:
    """``bytes(5)`` would be five zeros and ``bytes([1, 2])`` two bytes: neither is a value that anybody meant."""
    with pytest.raises(TypeError) as caught:
        kind(junk)
    assert str(caught.value) == f"{kind.__name__} takes bytes, not {type(junk).__name__}"


@pytest.mark.parametrize("size", [0, 1, 16, 31, 33, 64])
def test_a_data_key_has_32_bytes(size: int) -> None:
    """Any other length is refused, without a word about the bytes."""
    with pytest.raises(InvalidArgumentError, match=f"^a data key has 32 bytes, not {size}$"):
        DataKey(b"k" * size)


def test_a_hidden_value_does_not_follow_its_source() -> None:
    """What was a bytearray and is wiped or reused later stays as it was."""
    source = bytearray(VALUE)
    hidden = Plaintext(source)
    source[:] = bytes(len(VALUE))
    assert hidden.expose() == VALUE


def test_a_secret_gives_its_value_when_asked() -> None:
    """Name, number, value, text."""
    opened = secret("naïve".encode())
    assert (opened.name, opened.number, opened.value, opened.text) == ("app1/db", 3, "naïve".encode(), "naïve")
    with pytest.raises(dataclasses.FrozenInstanceError):
        opened.plaintext = Plaintext(b"")  # type: ignore[misc]


def chain(error: BaseException) -> list[BaseException]:
    """An error and everything that hangs on it, suppressed or not."""
    found: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending:
        if (one := pending.pop()) is not None and one not in found:
            found.append(one)
            pending += [one.__cause__, one.__context__]
    return found


def test_text_that_is_none_is_refused_without_the_value() -> None:
    """A UnicodeDecodeError carries the bytes it failed on; it may not hang on our error, not even suppressed."""
    with pytest.raises(InvalidArgumentError, match=r"^version 3 of app1/db is not UTF-8 text$") as caught:
        _ = secret().text
    assert [type(error) for error in chain(caught.value)] == [InvalidArgumentError]
    assert caught.value.hint == "use .value, which is bytes"
    assert not shows("".join(traceback.format_exception(caught.value)))


def test_text_that_is_not_unicode_is_refused_without_the_text() -> None:
    """The same on the way in: a UnicodeEncodeError carries the text."""
    assert encode("é", "the value") == b"\xc3\xa9"
    with pytest.raises(InvalidArgumentError, match=r"^the value is not valid unicode text$") as caught:
        encode("hunter2\ud800", "the value")
    assert [type(error) for error in chain(caught.value)] == [InvalidArgumentError]


GOOD_NAMES = [
    "a", "Z", "0", "app1/db/password", "a" * 512, "a/" * 255 + "bc", "A9_.@+=:-", "a/.b", "a/..b", "a/b..", "a/...",
    "a/-", "a/:", "a.", "a..", "arn:aws:x@1+2=3",
]  # fmt: skip
BAD_NAMES = [
    "", " ", "/", "/a", "a/", "a//b", ".", "..", ".a", "_a", "-a", "@a", "a/.", "a/..", "a/./b", "a/../b", "a" * 513,
    "a b", "a\n", "\na", "a/b\n", "a\x00", "é", "aé", "a\u0301", "a/é", "а", "a１", "a#b", "a*", "a?b", "a\\b", "a,b",
    "a%2fb", "a~", "a$b", "a'b", 'a"b', "a/b/", "a\u200b", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names(name: str) -> None:
    """Returned as they stand."""
    assert check_name(name) is name


@pytest.mark.parametrize("name", [*BAD_NAMES, None, 1, b"a", ["a"]])
def test_what_is_no_name(name: Any) -> None:
    """Refused with a hint; a long one is not repeated in full."""
    with pytest.raises(InvalidNameError, match="is not a name for a secret") as caught:
        check_name(name)
    assert caught.value.hint
    assert len(str(caught.value)) < 130
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("environment", ["a", "local", "prod", "eu-west-1", "a" * 31, "p0", "a-"])
def test_environments(environment: str) -> None:
    """Returned as they stand."""
    assert check_environment(environment) is environment


@pytest.mark.parametrize(
    "environment",
    ["", "A", "Prod", "1a", "-a", "a" * 32, "a_b", "a.b", "a b", "prod\n", "é", "a/b", "а", None, 1, b"prod"],
)
def test_what_is_no_environment(environment: Any) -> None:
    """Upper case, other characters, 32 of them, a final newline, another type."""
    with pytest.raises(InvalidNameError, match="is not a name for an environment") as caught:
        check_environment(environment)
    assert caught.value.hint


@pytest.mark.parametrize("version", [1, 2, 9_999_999_998, MAX_VERSION])
def test_versions(version: int) -> None:
    """1 up to ten nines."""
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version", [0, -1, MAX_VERSION + 1, pytest.param(10**5000, id="5001 digits"), True, False, 1.0, "1", None, b"1"]
)
def test_what_is_no_version(version: Any) -> None:
    """Zero, negative, too large, absurdly large, and what merely looks like a number."""
    with pytest.raises(InvalidArgumentError, match="is not a version number"):
        check_version(version)
    assert MAX_VERSION == 9_999_999_999


@pytest.mark.parametrize(
    "prefix", ["", "a", "app1", "app1/", "app1/d", "app1/.", "app1/..", "a.", "a" * 511, "a" * 512, "a" * 510 + "/"]
)
def test_prefixes(prefix: str) -> None:
    """Whatever some name starts with: a directory, the beginning of one, and the beginning of ``app1/.env``."""
    assert check_prefix(prefix) is prefix


@pytest.mark.parametrize(
    "prefix",
    [
        "/",
        "//",
        "app1//",
        ".",
        "./",
        "../",
        "a/./",
        "a/../",
        "-",
        "é",
        "a b",
        "a\n",
        "a" * 513,
        "a" * 511 + "/",
        None,
        1,
        b"a",
    ],
)
def test_what_no_name_starts_with(prefix: Any) -> None:
    """Refused, rather than answered with an empty list."""
    with pytest.raises(InvalidNameError, match="no secret's name starts with") as caught:
        check_prefix(prefix)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "namespace"), [("app1/db/password", "app1"), ("app1/x", "app1"), ("tls-key", "-"), ("a.b/c", "a.b")]
)
def test_namespaces(name: str, namespace: str) -> None:
    """The first segment, and one for all the names that have no slash; no name starts with a hyphen."""
    assert namespace_of(name) == namespace
    with pytest.raises(InvalidNameError):
        check_name("-/a")


PAIRS = {f"key{n:02d}": "x" for n in range(20)}


@pytest.mark.parametrize("what", ["context", "tags"])
def test_pairs(what: str) -> None:
    """Up to 20 pairs and 4,096 bytes of UTF-8; the result is a copy."""
    assert check_pairs(what, None) == {}
    assert check_pairs(what, {}) == {}
    checked = check_pairs(what, PAIRS)
    assert checked == PAIRS
    assert checked is not PAIRS
    for pairs in ({"k": "x" * 4095}, {"k" * 4095: "x"}, {"é": "é" * 2047}):
        assert check_pairs(what, pairs) == pairs


@pytest.mark.parametrize("what", ["context", "tags"])
@pytest.mark.parametrize(
    "pairs",
    [{**PAIRS, "one": "more"}, {"k": "x" * 4096}, {"é": "é" * 2048}, {f"{n:02d}": "x" * 203 for n in range(20)}],
)
def test_too_many_pairs(what: str, pairs: dict[str, str]) -> None:
    """21 pairs, or 4,097 bytes and more."""
    with pytest.raises(ValueTooLargeError, match=f"^{what} is too large$") as caught:
        check_pairs(what, pairs)
    assert caught.value.hint


@pytest.mark.parametrize(
    "pairs", [{1: "x"}, {"k": 1}, {"k": None}, {b"k": "x"}, {"k": b"x"}, {"": "x"}, {"\ud800": "x"}]
)
@pytest.mark.parametrize("what", ["context", "tags"])
def test_pairs_are_text(what: str, pairs: Any) -> None:
    """Other types, an empty key and what is not unicode."""
    with pytest.raises(InvalidArgumentError, match=f"^{what} "):
        check_pairs(what, pairs)


def test_what_a_context_may_not_have_and_tags_may() -> None:
    """A label may be empty and may be called anything; a context's pair has two sides and not our keys."""
    for pairs in ({"k": ""}, {"dynastash:env": "prod"}, {"dynastash:": "x"}):
        assert check_pairs("tags", pairs) == pairs
        with pytest.raises(InvalidArgumentError):
            check_pairs("context", pairs)
    assert check_pairs("context", {"dynastash": "x"})


def test_a_contexts_pairs() -> None:
    """The four that are always there, whatever the user's own are called."""
    context = Context("prod", "app1/db", 3, {"team": "payments", "dynastash:env": "dev"})
    assert context.pairs() == {
        "team": "payments",
        "dynastash:env": "prod",
        "dynastash:name": "app1/db",
        "dynastash:version": "3",
        "dynastash:format": "1",
    }
    assert Context("prod", "app1/db", MAX_VERSION).pairs()["dynastash:version"] == "9999999999"


def test_a_wrapped_keys_blob_is_not_printed() -> None:
    """It is public, and of no use in a message."""
    assert repr(WrappedKey(b"blob", "arn")) == "WrappedKey(key_id='arn')"


def head(**stages: int) -> Head:
    return Head(
        name="a",
        last=3,
        revision=1,
        pruned_below=1,
        state=State.ACTIVE,
        created_ms=0,
        updated_ms=0,
        updated_by="arn",
        seal=b"s" * 64,
        **stages,
    )


def test_the_version_that_a_head_is_sealed_under() -> None:
    """Current; pending where there is no current; none where there is neither."""
    assert head(current=1, pending=3).sealing_version == 1
    assert head(pending=3, previous=1).sealing_version == 3
    assert head(previous=1).sealing_version is None
    assert "seal" not in repr(head())


def test_stages_of_a_version() -> None:
    """All that stand on it, in a fixed order."""
    both = head(current=2, pending=3, previous=2)
    assert both.stages_of(2) == (Stage.CURRENT, Stage.PREVIOUS)
    assert both.stages_of(3) == (Stage.PENDING,)
    assert both.stages_of(1) == ()


def test_stages_and_states_are_their_names() -> None:
    """They print and compare as the words that stand in the records."""
    assert [f"{stage}" for stage in Stage] == ["current", "pending", "previous"]
    assert [f"{state}" for state in State] == ["active", "deleted", "destroyed"]
    assert State("active") is State.ACTIVE


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1, datetime(1970, 1, 1, microsecond=1000, tzinfo=UTC)),
        (1_767_225_600_123, datetime(2026, 1, 1, microsecond=123_000, tzinfo=UTC)),
        (253_402_300_799_999, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (253_402_300_799_001, datetime(9999, 12, 31, 23, 59, 59, 1000, tzinfo=UTC)),
    ],
)
def test_milliseconds_to_times(milliseconds: int, expected: datetime) -> None:
    """Exact to the millisecond up to the end of the year 9999, and aware."""
    assert from_ms(milliseconds) == expected
    assert from_ms(milliseconds).utcoffset() is not None


def test_seconds_to_times() -> None:
    """The same, and None for None."""
    assert from_seconds(None) is None
    assert from_seconds(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert from_seconds(253_402_300_799) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert from_seconds(1_798_761_600) == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("key", ["dynastash:env", "Dynastash:Name", "DYNASTASH:x"])
def test_reserved_context_keys_are_reserved_in_any_case(key: str) -> None:
    """IAM's condition keys know no case: ``Dynastash:Name`` would look like ours to a policy."""
    with pytest.raises(InvalidArgumentError, match="reserved"):
        check_pairs("context", {key: "x"})

"""References: what is a name, what a version, what a field; and fields of values that are hostile."""

from __future__ import annotations

import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.errors import FieldNotFoundError, InvalidNameError, InvalidReferenceError
from dynastash.models import MAX_NAME, MAX_VERSION, Plaintext, Stage, check_name
from dynastash.references import MAX_FIELD, SCHEME, Reference, check_field, field_of, is_reference, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n", Reference("n")),
        ("dynastash://app1/db/password", Reference("app1/db/password")),
        ("app1/db/password@3", Reference("app1/db/password", 3)),
        ("app1/db/password@previous", Reference("app1/db/password", None, Stage.PREVIOUS)),
        ("app1/db@3#user", Reference("app1/db", 3, field="user")),
        ("app1/db#a@3", Reference("app1/db", field="a@3")),
        ("app1/db#a#b", Reference("app1/db", field="a#b")),
        ("app1/db#/a/~1~0", Reference("app1/db", field="/a/~1~0")),
        ("app1/db#db.host", Reference("app1/db", field="db.host")),
        ("ada@example.com", Reference("ada@example.com")),
        ("a@b@2", Reference("a@b", 2)),
        ("team@2/x", Reference("team@2/x")),
        ("team@2@current", Reference("team@2")),
        ("team@2@7", Reference("team@2", 7)),
        ("team@previous@current", Reference("team@previous")),
        ("team@Previous", Reference("team@Previous")),
        ("team@2x", Reference("team@2x")),
        ("team@", Reference("team@")),
        ("a:b=c+d@1", Reference("a:b=c+d", 1)),
        (f"n@{MAX_VERSION}", Reference("n", MAX_VERSION)),
    ],
)
def test_what_a_reference_means(text: str, expected: Reference) -> None:
    assert parse(text) == expected
    assert parse(SCHEME + text.removeprefix(SCHEME)) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", SCHEME, "@3", "#f", "@", "n#", "n@3#", "n@0", "n@007", f"n@{MAX_VERSION + 1}", "n@" + "9" * 5000, "n@2@0",
     "a b", "/n", "n/", "a/../b", "n# f", "n#f ", "n#a\nb", "n#" + "f" * (MAX_FIELD + 1), "n#/a~2", "n#/~",
     "n" * (MAX_NAME + 1), "Dynastash://n", "dynastash://dynastash://n", "n@\u0663", "n?x=1"],
)  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    """Each is refused with a hint, and in one line."""
    with pytest.raises(InvalidReferenceError) as caught:
        parse(text)
    assert caught.value.hint and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_scheme_makes_a_reference() -> None:
    """Also a misspelt one, which must not go to a program as a value."""
    assert is_reference("dynastash://") and is_reference("DynaStash://x")
    assert not is_reference(" dynastash://x") and not is_reference("dynastash:/x") and not is_reference("")


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.@+=:-]{0,8}(/[A-Za-z0-9_@+=:-]{1,8}){0,2}", fullmatch=True)
ENDS = st.sampled_from(["", "@1", "@22", "@current", "@previous", "@pending", "@x"])
FIELDS = st.none() | st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12).filter(
    lambda text: not text.startswith("/")
)


@given(NAMES, ENDS, st.none() | st.integers(1, MAX_VERSION), st.sampled_from(Stage), FIELDS)
def test_what_is_written_is_read_again(
    name: str, end: str, version: int | None, stage: Stage, field: str | None
) -> None:
    """Any name, one that ends like a version too, has its reference, and two that differ never share one."""
    try:
        name = check_name(name + end)
    except InvalidNameError:
        return
    reference = Reference(name, version, Stage.CURRENT if version is not None else stage, field)
    assert parse(str(reference)) == parse(f"{SCHEME}{reference}") == reference


@given(st.text(st.sampled_from("an/@#~.: 13") | st.characters(), max_size=20) | st.sampled_from(["n@current", "n@1"]))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    """And what it is read as, is written so that it is read in the same way."""
    try:
        reference = parse(text)
    except InvalidReferenceError as error:
        assert error.hint
    else:
        assert parse(str(reference)) == reference
        check_name(reference.name)


DOCUMENT = b"""{"user": "ada", "db.host": "h", "n": 1.10, "big": 123456789012345678901234567890, "e": 1E400,
 "yes": true, "no": false, "nothing": null, "list": ["a", {"b": "c"}], "a/b": "slash", "m~n": "tilde", "": "empty",
 "/x": "y", "01": "digits", "text": "line\\nnext \\u00e4", "void": ""}"""


@pytest.mark.parametrize(
    ("field", "text"),
    [("user", "ada"), ("db.host", "h"), ("n", "1.10"), ("big", "123456789012345678901234567890"), ("e", "1E400"),
     ("yes", "true"), ("no", "false"), ("/user", "ada"), ("/list/0", "a"), ("/list/1/b", "c"), ("a/b", "slash"),
     ("/a~1b", "slash"), ("/m~0n", "tilde"), ("/", "empty"), ("/~1x", "y"), ("/01", "digits"), ("text", "line\nnext ä"),
     ("void", "")],
)  # fmt: skip
def test_a_field_as_text(field: str, text: str) -> None:
    assert field_of(Plaintext(DOCUMENT), check_field(field), "n").expose() == text.encode()


@pytest.mark.parametrize(
    "field",
    ["User", "nobody", "list/0", "/list/2", "/list/-1", "/list/-", "/list/00", "/list/0/x", "/user/0", "/nobody/x",
     "/list/9999999999999999999999"],
)  # fmt: skip
def test_a_field_that_is_not_there(field: str) -> None:
    """The error names what was asked for, and nothing of what there is."""
    with pytest.raises(FieldNotFoundError, match=rf"^n has no field {field}$") as caught:
        field_of(Plaintext(DOCUMENT), field, "n")
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.hint)
    assert not any(word in shown for word in ("ada", "db.host", "slash"))


@pytest.mark.parametrize(("field", "kind"), [("nothing", "null"), ("list", "a list"), ("/list/1", "an object")])
def test_a_field_without_text(field: str, kind: str) -> None:
    with pytest.raises(FieldNotFoundError, match=f"field {field} of n is {kind}"):
        field_of(Plaintext(DOCUMENT), field, "n")


@pytest.mark.parametrize(
    "value",
    [b"", b"hunter2", b"{", b'{"user": "hunter2"', b"\xff{}", b'{"user": "hunter2", "user": "x"}', b"[" * 100_000,
     b'{"user": NaN}', b'{"user": -Infinity}', b'\xef\xbb\xbf{"user": "hunter2"}', b'{"user": "hunter2"} x',
     b'{"a": {"b": 1, "b": 1}, "user": "hunter2"}', '{"user": "hunter2"}'.encode("utf-16")],
)  # fmt: skip
def test_a_value_that_is_not_json_shows_nothing_of_itself(value: bytes) -> None:
    """Neither in the message nor in any error behind it: the parser's own carries the whole document."""
    with pytest.raises(FieldNotFoundError, match=r"^the value of version 1 of n is not JSON") as caught:
        field_of(Plaintext(value), "user", "version 1 of n")
    assert caught.value.__context__ is None and caught.value.__cause__ is None
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_lone_surrogate_is_no_text() -> None:
    with pytest.raises(FieldNotFoundError, match="field user of n is not valid unicode text"):
        field_of(Plaintext(b'{"user": "\\ud800"}'), "user", "n")


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=6))
def test_every_member_is_found(members: dict[str, str]) -> None:
    """By its name where that can be written so, and by its pointer always."""
    try:
        value = Plaintext(json.dumps(members, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return
    for name, text in members.items():
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        assert field_of(value, pointer, "n").expose() == text.encode()
        if not name.startswith("/"):
            assert field_of(value, name, "n").expose() == text.encode()

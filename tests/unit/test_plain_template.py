"""References in text files: found where they are, errors at their place, everything else untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynastash.errors import TemplateError
from dynastash.models import Plaintext
from dynastash.references import Reference
from dynastash.template import MAX_OUTPUT, MAX_TEMPLATE, take_apart

VALUE = Plaintext(b"va{{ dynastash://other }}lue\xff\r\n")


def filled(data: bytes) -> bytes:
    """``data`` with VALUE for every reference."""
    template = take_apart(data)
    return template.fill({found.reference: VALUE for found in template.placeholders}).expose()


@given(st.binary(max_size=200))
def test_any_bytes_without_a_reference_stay_as_they_are(data: bytes) -> None:
    """Encodings, line ends, other braces."""
    if b"dynastash:" not in data.lower():
        assert filled(data) == data


PIECES = st.sampled_from(
    [b"{", b"}", b"{{", b"}}", b"!", b" ", b"\t", b"\n", b"\r\n", b"dynastash:", b"//", b"DynaStash://", b"a/b", b"@3",
     b"#f", b"\xff", b"\x00", b"x", b"{{ dynastash://a }}", b"{{! dynastash://a }}"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_whatever_looks_like_one_is_taken_apart_or_refused_at_its_place(data: bytes) -> None:
    """And put together again, nothing is lost: a reference is written back where it stood."""
    try:
        template = take_apart(data)
    except TemplateError as error:
        assert error.line is not None
        assert error.line <= data.count(b"\n") + 1
        assert error.column is not None
        assert f"line {error.line}, column {error.column}: " in str(error)
        return
    for found in template.placeholders:
        line = data.split(b"\n")[found.line - 1].decode("utf-8", "replace")
        assert line[found.column - 1 :].startswith("{{")
        assert "dynastash://" in line[found.column - 1 :]
    assert len(template.placeholders) <= data.count(b"{{")
    assert filled(data).count(VALUE.expose()) == len(template.placeholders)


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_any_text_can_be_written_with_exclamation_marks(data: bytes) -> None:
    """One more behind each pair of braces that a reference follows: the result is the text itself."""
    import re

    escaped = re.sub(rb"\{\{(!*[ \t]*dynastash:)", rb"{{!\1", data, flags=re.IGNORECASE)
    if all(codec not in escaped for codec in (b"d\0y\0", b"\0d\0y")):
        assert filled(escaped) == data


def test_what_is_put_in_is_not_looked_at_again() -> None:
    """A value that contains a reference is a value."""
    assert filled(b"<{{ dynastash://a }}>") == b"<" + VALUE.expose() + b">"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("{{dynastash://a}}", Reference("a")),
        ("{{ dynastash://app1/db/password@3#user }}", Reference("app1/db/password", 3, field="user")),
        ("{{\t dynastash://a#/x/0 \t}}", Reference("a", field="/x/0")),
        ("{{{dynastash://a}}}", Reference("a")),
    ],
)
def test_references_are_what_they_are_elsewhere(text: str, reference: Reference) -> None:
    """As in ``run`` and ``get``."""
    (found,) = take_apart(text.encode()).placeholders
    assert found.reference == reference


def test_places_are_counted_through_the_whole_file() -> None:
    """Several on a line, and further ones below."""
    found = take_apart(
        b"{{dynastash://a}} {{dynastash://b}}\n\n {{! dynastash://x }}\n  {{dynastash://c}}"
    ).placeholders
    assert [(each.line, each.column) for each in found] == [(1, 1), (1, 19), (4, 3)]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("{{ dynastash://a", (1, 1), "the reference is not closed"),
        ("a\n  é {{ dynastash://a\n}}", (2, 5), "the reference is not closed"),
        ("\n\n{{ dynastash://../b }}", (3, 1), "is not a reference"),
        ("{{ dynastash:/a }}", (1, 1), "what stands here is not a reference"),
        ("{{ dynastash:a }}", (1, 1), "what stands here is not a reference"),
        ("{{ DYNASTASH://a }}", (1, 1), "is not a reference"),
        ("{{ dynastash:// }}", (1, 1), "is not a reference"),
        ("{{ dynastash://a }} {{ dynastash://a@0 }}", (1, 21), "0 is not a version number"),
        ("{{ dynastash://a b }}", (1, 1), "is not a reference"),
        ("{{ dynastash://\udcff }}", (1, 1), "the reference is not UTF-8 text"),
    ],
)
def test_mistakes_are_told_at_their_place(text: str, place: tuple[int, int], said: str) -> None:
    """Line and column, in characters."""
    with pytest.raises(TemplateError, match=said) as caught:
        take_apart(text.encode("utf-8", "surrogateescape"))
    assert (caught.value.line, caught.value.column) == place


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_refused_where_they_have_references(encoding: str) -> None:
    """They would be passed over, and the file written without its secrets."""
    with pytest.raises(TemplateError, match="UTF-16 or UTF-32"):
        take_apart("{{ dynastash://a }}".encode(encoding))
    assert filled("plain".encode(encoding)) == "plain".encode(encoding)


def test_sizes_are_bounded() -> None:
    """Of the template, and of what becomes of it."""
    with pytest.raises(TemplateError, match="too large"):
        take_apart(b"x" * (MAX_TEMPLATE + 1))
    take_apart(b"x" * MAX_TEMPLATE)
    large = Plaintext(b"x" * (1 << 20))
    template = take_apart(b"{{ dynastash://a }}" * (MAX_OUTPUT >> 20))
    assert len(template.fill({Reference("a"): large}).expose()) == MAX_OUTPUT
    with pytest.raises(TemplateError, match="too large"):
        take_apart(b"{{ dynastash://a }}" * (MAX_OUTPUT >> 20) + b"x").fill({Reference("a"): large})

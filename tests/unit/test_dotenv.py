"""dotenv files: what is read, what is refused, and that others read the same."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dynastash.dotenv import parse
from dynastash.errors import InvalidArgumentError


def values(text: str) -> dict[str, str]:
    return {entry.name: entry.value for entry in parse(text)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("A=b\n", "b"),
        ("A=b\r\n", "b"),
        ("  export A = b c \t\n", "b c"),
        ("A=", ""),
        ("A=\nB=c", ""),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ("A=dynastash://n#field", "dynastash://n#field"),
        ("A=dynastash://n#field # comment", "dynastash://n#field"),
        ("A=p$ss$$w=rd", "p$ss$$w=rd"),
        ("A=back\\slash\\n", "back\\slash\\n"),
        ("A=it's", "it's"),
        ("A='b # c'", "b # c"),
        ("A='${B} \"x\"' # comment", '${B} "x"'),
        ("A='two\nlines'", "two\nlines"),
        ("A='back\\slash\\n'", "back\\slash\\n"),
        ('A="b # c"', "b # c"),
        ('A="a\\tb\\n\\"c\\" \\\\ \\r"', 'a\tb\n"c" \\ \r'),
        ('A="two\nlines"', "two\nlines"),
        ('A=""', ""),
        ("# comment\n\n \t\n  # another = one\nA=b", "b"),
    ],
)
def test_what_is_read(text: str, value: str) -> None:
    assert values(text)["A"] == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A", "line 1: there is no NAME=value"),
        ("# x\n\nA b=c", "line 3: there is no NAME=value"),
        ("=b", "line 1: there is no NAME=value"),
        ("export =b", "line 1: there is no NAME=value"),
        ("1A=b", "line 1: what stands before = is not a variable's name"),
        ("A.B=c", "line 1: what stands before = is not a variable's name"),
        ("\ufeffA=b", "line 1: what stands before = is not a variable's name"),
        ("A=b\nC=d\nA=e", "line 3: A is there twice, first in line 1"),
        ("A='b", "line 1: the quote that A begins with is not closed"),
        ('\nA="b\nC=d', "line 2: the quote that A begins with is not closed"),
        ('A="b\\"', "line 1: the quote that A begins with is not closed"),
        ("A='b' c", "line 1: there is text behind the closing quote of A"),
        ("A='b'#c", "line 1: there is text behind the closing quote of A"),
        ("A='it''s'", "line 1: there is text behind the closing quote of A"),
        ("A='b\\'", "line 1: A has a backslash that readers disagree about"),
        ("A='b\\\\c'", "line 1: A has a backslash that readers disagree about"),
        ('A="\\$b"', "line 1: A has a backslash before what it does not escape"),
        ("A=${B}", "line 1: A has ${, and nothing is expanded"),
        ('A="x${B:-y}"', "line 1: A has ${, and nothing is expanded"),
        ("A= # b", "line 1: the value of A begins with #"),
        ("A=b\0c", "line 1: A has a NUL character"),
        ("A=b\rc", "line 1: A has white space"),
        ("A=\x0bb", "line 1: A has white space"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    """With its line and its name, and nothing of a value."""
    with pytest.raises(InvalidArgumentError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
    assert caught.value.hint


def test_a_value_is_in_no_repr() -> None:
    assert repr(parse("A=hunter2")) == "[Entry(A, line 1)]"


def test_lines_are_counted_through_values() -> None:
    assert [entry.line for entry in parse("A='x\ny\nz'\n\n# c\nB=b\n")] == [1, 6]


PIECES = st.sampled_from(
    ["A", "B", "C=", "=", "'", '"', "\\", "n", "$", "{", "}", "#", " ", "\n", "export ", "x", "\r\n", "é"]
)


@given(st.lists(PIECES, max_size=16).map("".join))
@example("A='\n'\nB=\"\\n\"")
def test_others_read_the_same(text: str) -> None:
    """python-dotenv makes the same of whatever is accepted here, its expansion switched on as it is by default."""
    dotenv = pytest.importorskip("dotenv")
    try:
        found = values(text)
    except InvalidArgumentError:
        return
    assert dict(dotenv.dotenv_values(stream=io.StringIO(text.replace("\r\n", "\n")))) == found


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        entries = parse(text)
    except InvalidArgumentError as error:
        assert str(error).startswith("line ")
    else:
        assert all(entry.name.isascii() and entry.line >= 1 for entry in entries)

"""credstash's command line taken apart, with its own parser, argparse, as the oracle."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credstash.cli.arguments import GLOBAL, VERBS, Usage, described, read
from credstash.cli.run import run
from tests.dropin.kit import DropIn
from tests.property.strategies import steady


def _oracle() -> argparse.ArgumentParser:
    """The same verbs and options, as credstash declares them to argparse."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    _declare(parser, GLOBAL[1:])
    verbs = parser.add_subparsers(dest="verb")
    for name, verb in VERBS.items():
        one = verbs.add_parser(name, exit_on_error=False)
        _declare(one, verb.options)
        one.add_argument("words", nargs="*")
    return parser


def _declare(parser: argparse.ArgumentParser, options: Any) -> None:
    for option in options:
        names = [f"--{option.long}", *([f"-{option.short}"] if option.short else [])]
        if option.metavar:
            parser.add_argument(*names, dest=option.long, default=argparse.SUPPRESS)
        else:
            parser.add_argument(*names, dest=option.long, action="store_const", const="", default=argparse.SUPPRESS)


ORACLE = _oracle()
WORD = st.text("ab=*@%1/ .", min_size=1, max_size=6)


@st.composite
def _given(draw: st.DrawFn, options: Any) -> list[str]:
    """Some of ``options``, in the ways there are to write one; no option twice, and no short cut of another."""
    words: list[str] = []
    for option in draw(st.lists(st.sampled_from(options), unique=True, max_size=3)) if options else []:
        value = draw(WORD) if option.metavar else None
        if value is None:
            words += [draw(st.sampled_from([f"--{option.long}", *([f"-{option.short}"] if option.short else [])]))]
        elif option.short and draw(st.booleans()):
            words += draw(st.sampled_from([[f"-{option.short}", value], [f"-{option.short}{value}"]]))
        else:
            words += draw(st.sampled_from([[f"--{option.long}", value], [f"--{option.long}={value}"]]))
    return words


@steady(200)
@given(st.data())
def test_argparse_understands_the_same(data: st.DataObject) -> None:
    """Of every line that credstash understands: options of the whole, the verb, words and options of its own."""
    verb = data.draw(st.sampled_from(sorted(VERBS)))
    before = data.draw(_given([option for option in GLOBAL[1:] if option.long != "arn"]))
    behind = data.draw(_given(VERBS[verb].options))
    words = data.draw(st.lists(WORD.filter(lambda word: not word.startswith("-")), max_size=3))
    line = [*before, verb, *behind, *words]
    understood = vars(ORACLE.parse_args(line))
    found = read(line)
    assert found.verb == understood.pop("verb")
    assert found.words == understood.pop("words")
    assert found.options == understood


@pytest.mark.parametrize(
    ("line", "options", "words"),
    [
        ("put n v -v 2 k=v", {"version": "2"}, ["n", "v", "k=v"]),
        ("put -av2 n v", {"autoversion": "", "version": "2"}, ["n", "v"]),
        ("get -nv=2 n", {"noline": "", "version": "2"}, ["n"]),
        ("get n -n", {"noline": ""}, ["n"]),
        ("get n -v= k=v", {"version": ""}, ["n", "k=v"]),
        ("get n --auto", None, None),
        ("put n v --auto", {"autoversion": ""}, ["n", "v"]),
        ("put n --lit -x", None, None),
        ("put n --lit -- -x -a", {"literal": ""}, ["n", "-x", "-a"]),
        ("put n -", {}, ["n", "-"]),
        ("put n -c -a", None, None),
        ("put n -c=-a", {"comment": "-a"}, ["n"]),
        ("get n -t prod -r eu-west-1", {"table": "prod", "region": "eu-west-1"}, ["n"]),
        ("-n arn:x get -n n", {"arn": "arn:x", "noline": ""}, ["n"]),
        ("get n --region", None, None),
        ("get n --noline=yes", None, None),
        ("list --log", None, None),
        ("-- get n -v 1", {}, ["n", "-v", "1"]),
        ("-p a -n b list", None, None),
    ],
)
def test_lines(line: str, options: dict[str, str] | None, words: list[str] | None) -> None:
    """What argparse would not take, and what nobody should."""
    if options is None:
        with pytest.raises(Usage):
            read(line.split())
    else:
        found = read(line.split())
        assert (found.options, found.words) == (options, words)


@steady(200)
@given(st.lists(st.text(max_size=8), max_size=6))
def test_no_line_is_too_much(line: list[str]) -> None:
    """It is understood, or it is not."""
    try:
        read(line)
    except Usage as error:
        assert str(error)


@steady(200)
@given(st.lists(st.text("-=hunter2 kv", min_size=8, max_size=12), min_size=1, max_size=3))
def test_no_complaint_quotes_what_may_be_a_secret(words: list[str]) -> None:
    """Of put, whatever is wrong with it."""
    try:
        read(["put", *words])
    except Usage as error:
        assert not any(word in str(error) for word in words)


@pytest.mark.parametrize("words", [("put", "a", "@hunter2 made up"), ("putall", "@hunter2 made up")])
def test_a_value_that_begins_with_an_at_sign_was_shown_in_a_complaint(
    credstash: DropIn, words: tuple[str, ...]
) -> None:
    """As the name of a file that is not there."""
    done = credstash(*words)
    assert done.code == 2 and "the file behind @ cannot be read" in done.err and "hunter2" not in done.err


def test_help(credstash: DropIn) -> None:
    """Of the whole, without a verb too, and of each verb."""
    for line in ([], ["-h"], ["--help"], ["-t", "x"]):
        done = credstash(*line)
        assert (done.code, done.err) == (0, "")
        assert done.text == described(None)
        assert all(verb in done.text for verb in VERBS)
    for verb, one in VERBS.items():
        for line in ([verb, "-h"], [verb, "x", "--help"], ["--help", verb]):
            done = credstash(*line)
            assert (done.code, done.text) == (0, described(verb))
            assert all(f"--{option.long}" in done.text for option in one.options)
    assert all(len(line) <= 110 for verb in (None, *VERBS) for line in described(verb).splitlines())


@pytest.mark.parametrize("verb", ["get", "put", "putall", "delete"])
def test_a_word_that_is_missing(local: str, credstash: DropIn, verb: str) -> None:
    """Exit code 2, how it is used, and what is wrong."""
    done = credstash(verb)
    assert (done.code, done.out) == (2, b"")
    first, second = done.err.splitlines()
    assert first.startswith(f"usage: credstash {verb} ")
    assert second.startswith(f"credstash {verb}: error: the ")


def test_words_that_are_too_many(local: str, credstash: DropIn) -> None:
    """For verbs that take none."""
    for line in (["list", "x"], ["keys", "x"], ["delete", "a", "b"], ["setup", "a=b"]):
        assert credstash(*line).code == 2


def test_run_takes_a_tuple() -> None:
    """Any sequence of words."""
    assert run(("nothing-of-the-kind",)) == 2

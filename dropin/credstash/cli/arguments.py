"""credstash's command line: its verbs and options, and how a line of words is taken apart.

Options may stand anywhere behind the verb, those of the program as a whole too, and a context anywhere among the words.
Nothing of what was typed is quoted in a complaint about ``put`` and ``putall``: it may be a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple


class Option(NamedTuple):
    """``metavar`` is empty for a switch. ``long`` is also the key under which the value is found."""

    short: str
    long: str
    metavar: str
    help: str


class Verb(NamedTuple):
    """``words`` are what stands beside the options, for the help."""

    words: str
    help: str
    options: tuple[Option, ...] = ()
    secret: bool = False
    """Whether the words may be a value, which no message may quote."""


class Usage(Exception):
    """The command line cannot be understood: exit code 2. ``verb`` is as far as it was."""

    verb: str | None = None


class Line(NamedTuple):
    """A command line, taken apart. A switch that was given has the value ``""``."""

    verb: str | None
    options: dict[str, str]
    words: list[str]


FORMATS: Final = ("json", "csv", "dotenv", "yaml")
DIGESTS: Final = ("SHA", "SHA224", "SHA256", "SHA384", "SHA512", "MD5")

HELP: Final = Option("h", "help", "", "say what there is")
_VERSION: Final = Option("v", "version", "VERSION", "this version (default: the newest)")
_FORMAT: Final = Option("f", "format", "FORMAT", "json (default), csv, dotenv or yaml")
_LITERAL: Final = Option("", "literal", "", "* in NAME is itself")
_STORING: Final = (
    Option("k", "key", "KEY", "the KMS key, for an old table (default: alias/credstash)"),
    Option("c", "comment", "TEXT", "a comment, which is not secret"),
    Option("a", "autoversion", "", "the next version, whatever -v says"),
    Option("d", "digest", "DIGEST", f"for an old table: {' '.join(DIGESTS)} (default: SHA256)"),
)

GLOBAL: Final = (
    HELP,
    Option("r", "region", "REGION", "the AWS Region (default: the AWS configuration's, else us-east-1)"),
    Option("", "kms-region", "REGION", "the Region of an old table's KMS key (default: as saved by setup, else -r)"),
    Option("t", "table", "NAME", "a table or environment (default: $CREDSTASH_DEFAULT_TABLE, credential-store)"),
    Option("", "log-level", "LEVEL", "what the file gets: CRITICAL, ERROR, WARNING, INFO or DEBUG (default: WARNING)"),
    Option("", "log-file", "FILE", "append errors to FILE; without it there is no log"),
    Option("p", "profile", "PROFILE", "the AWS profile"),
    Option("n", "arn", "ARN", "an IAM role to assume"),
)

VERBS: Final = {
    "delete": Verb("NAME", "delete a secret, or one version of it", (Option("v", "version", "VERSION", "only this"),)),
    "get": Verb(
        "NAME [KEY=VALUE ...]",
        "print a value, or those of all names that fit a NAME with *",
        (Option("n", "noline", "", "without the newline behind the value"), _VERSION, _FORMAT, _LITERAL),
    ),
    "getall": Verb("[KEY=VALUE ...]", "print the values of all secrets", (_VERSION, _FORMAT)),
    "keys": Verb("", "print the names of all secrets"),
    "list": Verb("", "print all names and versions with their comments"),
    "put": Verb(
        "NAME [VALUE] [KEY=VALUE ...]",
        "store a value: VALUE, @FILE, - for standard input",
        (
            *_STORING,
            Option("v", "version", "VERSION", "as this version (default: 1)"),
            Option("P", "prompt", "", "ask for the value, which is not among the words then"),
            Option("", "literal", "", "VALUE is the value itself, also with @ or - in front"),
        ),
        secret=True,
    ),
    "putall": Verb(
        "JSON [KEY=VALUE ...]",
        "store all values of a JSON object: JSON, @FILE, - for standard input",
        (*_STORING, Option("v", "version", "VERSION", "as this version (default: 0)")),
        secret=True,
    ),
    "setup": Verb(
        "[--tags KEY=VALUE ...]",
        "make a table of the old format",
        (
            Option("", "save-kms-region", "REGION", "write REGION into ~/.credstash, for --kms-region"),
            Option("", "tags", "", "the words are tags of the table"),
        ),
    ),
}


def read(arguments: Sequence[str]) -> Line:
    """Take ``arguments`` apart. Raises :class:`Usage`."""
    line = Line(None, {}, [])
    left = list(arguments)
    while left:
        try:
            line = _next(line, left)
        except Usage as error:
            error.verb = line.verb
            raise
    if "profile" in line.options and "arn" in line.options:
        raise Usage("argument -n/--arn: not allowed with argument -p/--profile")
    return line


def _next(line: Line, left: list[str]) -> Line:
    """``line`` with the first of what is ``left``, which is taken."""
    verb, options, words = line
    argument = left.pop(0)
    if argument == "--":
        verb = _verb(left.pop(0)) if verb is None and left else verb
        words += left
        left.clear()
        return Line(verb, options, words)
    secret = verb is not None and VERBS[verb].secret
    if argument.startswith("--"):
        _long(argument, left, _known(verb), options, secret)
    elif argument.startswith("-") and argument != "-":
        _short(argument, left, _known(verb), options, secret)
    elif verb is None:
        verb = _verb(argument)
    else:
        words.append(argument)
    return Line(verb, options, words)


def usage(verb: str | None) -> str:
    """How ``verb`` is used, in one line."""
    if verb is None:
        return f"usage: credstash [OPTION ...] {{{','.join(VERBS)}}} ..."
    parts = ("usage: credstash", verb, "[OPTION ...]" if VERBS[verb].options else "", VERBS[verb].words)
    return " ".join(part for part in parts if part)


def described(verb: str | None) -> str:
    """The help of ``verb``, or of the whole."""
    lines = [usage(verb), ""]
    if verb is None:
        lines += ["Secrets in DynamoDB under KMS: credstash's commands, carried out by dynastash.", "", "verbs:"]
        lines += _columns([(name, one.help) for name, one in VERBS.items()])
        lines += ["", "options:", *_columns([_shown(option) for option in GLOBAL])]
        lines += ["", "credstash VERB --help has more. NAME of -t: a table or environment; credstash:TABLE and"]
        lines += ["environment:NAME say which is meant."]
    else:
        lines += [VERBS[verb].help, "", "options:"]
        lines += _columns([_shown(option) for option in (HELP, *VERBS[verb].options)])
        lines += ["", "The options of credstash as a whole may stand here too: credstash --help."]
    return "\n".join(lines) + "\n"


def _verb(word: str) -> str:
    if word not in VERBS:
        raise Usage(f"there is no verb {word[:40]!r}: choose from {', '.join(VERBS)}")
    return word


def _known(verb: str | None) -> list[Option]:
    """The options that may stand here. A letter that the verb has is the verb's."""
    own = () if verb is None else VERBS[verb].options
    letters = {option.short for option in own if option.short}
    return [*own, *(option._replace(short="") if option.short in letters else option for option in GLOBAL)]


def _long(argument: str, left: list[str], known: list[Option], options: dict[str, str], secret: bool) -> None:
    name, equals, value = argument[2:].partition("=")
    found = [option for option in known if option.long == name]
    found = found or [option for option in known if name and option.long.startswith(name)]
    if len(found) != 1:
        problem = "is ambiguous" if found else "is not an option"
        raise Usage(_hidden() if secret and not found else f"--{name[:40]} {problem}")
    (option,) = found
    if equals and not option.metavar:
        raise Usage(f"--{option.long} takes no value")
    _take(option, value if equals else None, left, options)


def _short(argument: str, left: list[str], known: list[Option], options: dict[str, str], secret: bool) -> None:
    """One letter or several; what follows the letter of an option that takes a value is the value."""
    taken: list[tuple[Option, str | None]] = []
    for place, letter in enumerate(argument[1:], 2):
        option = next((option for option in known if option.short == letter), None)
        if option is None:
            raise Usage(_hidden() if secret else f"-{letter} is not an option")
        if option.metavar:
            attached = argument[place:]
            taken.append((option, attached.removeprefix("=") if attached else None))
            break
        taken.append((option, None))
    for option, value in taken:  # all of them are known: -hunter2 is no call for help
        _take(option, value, left, options)


def _take(option: Option, value: str | None, left: list[str], options: dict[str, str]) -> None:
    if option.metavar and value is None:
        if not left or (left[0].startswith("-") and left[0] != "-"):
            raise Usage(f"--{option.long} takes a value; one that begins with - is written --{option.long}=-VALUE")
        value = left.pop(0)
    options[option.long] = value or ""


def _hidden() -> str:
    return "an option is not known; a value that begins with - goes behind --, as in `credstash put NAME -- -VALUE`"


def _shown(option: Option) -> tuple[str, str]:
    names = f"-{option.short}, --{option.long}" if option.short else f"    --{option.long}"
    return (f"{names} {option.metavar}".rstrip(), option.help)


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows) + 2
    return [f"  {name:{width}}{text}" for name, text in rows]

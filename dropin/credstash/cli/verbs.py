"""What each verb does with its words and options. Each returns an exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from credstash.access import TABLE, Access, open_store, trusted
from credstash.cli import values
from credstash.cli.arguments import DIGESTS, FORMATS, Line, Usage
from credstash.text import WILDCARD, fits, paddedInt
from dynastash.cli.output import say, visible, write_text
from dynastash.errors import ConflictError, DynastashError, InvalidArgumentError
from dynastash.models import Plaintext

if TYPE_CHECKING:
    from credstash.store import Store

_DEFAULT_TABLE: Final = "CREDSTASH_DEFAULT_TABLE"
_LAST_RESORT: Final = "us-east-1"


def get(line: Line) -> int:
    """One value, or those of all names that fit."""
    name, *words = _named(line)
    context = values.pairs(words)
    store, version = _store(line), line.options.get("version", "")
    if WILDCARD in name and "literal" not in line.options:
        form = _format(line)
        found = store.get_all(lambda each: fits(name, each), version, context)
        if not found:
            say(f"no name fits {name}")
        _write_all(found, form, "")
        return 0
    form = _format(line)  # checked, and of no consequence, as it always was
    _write_value(store.get(name, version, context).expose(), name, newline="noline" not in line.options)
    return 0


def getall(line: Line) -> int:
    """All values."""
    context, form = values.pairs(line.words), _format(line)
    found = _store(line).get_all(lambda _: True, line.options.get("version", ""), context)
    _write_all(found, form, "\n")
    return 0


def put(line: Line) -> int:
    """Store one value."""
    name, *words = _named(line)
    asks = "prompt" in line.options
    given = None if asks or not words else words.pop(0)
    context = values.pairs(words, shown=False)
    entry_options = _storing(line)
    value = values.prompted(name) if asks else values.read(given or "", literal="literal" in line.options)
    if not value:
        say("warning: the value is empty")
    store = _store(line)
    version = None if "autoversion" in line.options else line.options.get("version", "1")
    made = _put(store, name, Plaintext(value), version, context, entry_options)
    _say_stored(name, version, made)
    _warn_of_key(line)
    return 0


def putall(line: Line) -> int:
    """Store the values of a JSON object: all are looked at before the first is stored."""
    if not line.words:
        raise Usage("the JSON object is missing")
    document, *words = line.words
    context = values.pairs(words, shown=False)
    entry_options = _storing(line)
    secrets = values.named(values.read(document))
    store = _store(line)
    version = None if "autoversion" in line.options else line.options.get("version") or "0"
    failures: dict[str, DynastashError] = {}
    for name, value in secrets.items():
        try:
            made = _put(store, name, value, version, context, entry_options)
        except DynastashError as error:
            failures[name] = error
        else:
            _say_stored(name, version, made)
    _warn_of_key(line)
    if not failures:
        return 0
    say(f"{len(failures)} of {len(secrets)} secrets have not been stored:")
    for name, failure in failures.items():
        say(f"  {name}: {failure}")
    return 1


def keys(line: Line) -> int:
    """All names."""
    _no_words(line)
    write_text("".join(f"{visible(name)}\n" for name in sorted({one.name for one in _store(line).listed()})))
    return 0


def list_all(line: Line) -> int:
    """All versions with their comments."""
    _no_words(line)
    rows = [(visible(one.name), one.version, one.comment or "") for one in _store(line).listed()]
    width = max((len(name) for name, _, _ in rows), default=0)
    write_text(
        "".join(
            f"{name:{width}} -- version {visible(version)} -- comment {visible(comment)}\n"
            for name, version, comment in rows
        )
    )
    return 0


def delete(line: Line) -> int:
    """Delete a secret, or one version of it."""
    name, *words = _named(line)
    if words:
        raise Usage("delete takes one name")
    version = line.options.get("version")
    gone = _store(line).delete(name, version)
    if not gone.versions:
        from credstash.errors import not_found

        raise not_found(name, version or "", "nothing was deleted; `credstash list` shows what there is")
    write_text("".join(f"Deleting {visible(name)} -- version {visible(one)}\n" for one in gone.versions))
    if gone.note:
        say(gone.note)
    return 0


def setup(line: Line) -> int:
    """Make an old table, and save the Region of its key."""
    if line.words and "tags" not in line.options:
        raise Usage("setup takes words only with --tags")
    tags = values.pairs(line.words)
    if region := line.options.get("save-kms-region"):
        from credstash.cli import kmsregion

        kmsregion.save(region)
        write_text(f"KMS region set to {visible(region)}\n")
    from credstash.create import create

    create(_table(line), _access(line), tags, lambda text: write_text(text + "\n"))
    return 0


VERBS: Final[Mapping[str, Callable[[Line], int]]] = {
    "delete": delete,
    "get": get,
    "getall": getall,
    "keys": keys,
    "list": list_all,
    "put": put,
    "putall": putall,
    "setup": setup,
}


def _store(line: Line) -> Store:
    return open_store(_table(line), _access(line))


def _table(line: Line) -> str:
    return line.options.get("table") or os.environ.get(_DEFAULT_TABLE) or TABLE


def _access(line: Line) -> Access:
    options = line.options
    kms_region = options.get("kms-region")
    if not kms_region and _has_key(line.verb):
        from credstash.cli import kmsregion

        kms_region = kmsregion.saved()
    return Access(
        region=options.get("region") or None,
        default_region=_LAST_RESORT,
        kms_region=kms_region or None,
        profile=options.get("profile") or None,
        arn=options.get("arn") or None,
        key=options.get("key") or None,
    )


def _has_key(verb: str | None) -> bool:
    return verb in ("get", "getall", "put", "putall")


def _named(line: Line) -> list[str]:
    if not line.words or not line.words[0]:
        raise Usage("the name is missing")
    return line.words


def _no_words(line: Line) -> None:
    if line.words:
        raise Usage(f"{line.verb} takes no words: {visible(line.words[0])[:40]}")


def _format(line: Line) -> str:
    form = line.options.get("format", "json")
    if form not in FORMATS:
        raise Usage(f"argument -f/--format: invalid choice: {form[:40]!r} (choose from {', '.join(FORMATS)})")
    return form


def _storing(line: Line) -> tuple[str | None, str]:
    """Comment and digest."""
    digest = line.options.get("digest", "SHA256")
    if digest not in DIGESTS:
        raise Usage(f"argument -d/--digest: invalid choice: {digest[:40]!r} (choose from {', '.join(DIGESTS)})")
    return line.options.get("comment") or None, digest


def _put(
    store: Store,
    name: str,
    value: Plaintext,
    version: str | None,
    context: Mapping[str, str],
    storing: tuple[str | None, str],
) -> str:
    from credstash.store import Entry

    comment, digest = storing
    try:
        return store.put(
            Entry(name=name, value=value, version=version, context=context, comment=comment, digest=digest)
        )
    except ConflictError as error:
        highest = None if version is None else store.highest(name)
        if version is None or highest is None or paddedInt(version) > highest:
            raise
        raise ConflictError(
            f"{name} version {version} cannot be stored: the credential store has version {highest} already. "
            "Use the -v flag to specify a new version",
            hint="or -a, which takes the next one",
        ) from error


def _say_stored(name: str, asked: str | None, made: str) -> None:
    write_text(f"{visible(name)} has been stored\n")
    if asked is not None and asked.isdecimal() and made.isdecimal() and int(asked or 0) not in (0, int(made)):
        say(f"{name}: as version {int(made)}")


def _warn_of_key(line: Line) -> None:
    """A word where what was just put cannot be got in the same surroundings."""
    key = line.options.get("key")
    keys = trusted(os.environ)
    if key and keys and key not in keys:
        say(f"warning: `get` does not trust {key}; set CREDSTASH_TRUSTED_KEYS={','.join((*keys, key))}")


def _write_value(value: bytes, name: str, *, newline: bool) -> None:
    """Byte for byte, with a newline behind it; a terminal is spared what would steer it."""
    from dynastash.cli.output import write_value

    if not write_value(value + b"\n" if newline else value, raw=False):
        raise InvalidArgumentError(
            f"the value of {name} is binary or has control characters, and this is a terminal",
            hint="redirect the output into a file or a pipe",
        )


def _write_all(found: Mapping[str, Plaintext], form: str, end: str) -> None:
    from credstash.formats import written
    from dynastash.cli.output import write_value

    text = written({name: value.expose() for name, value in found.items()}, form)
    if not write_value((text + end).encode("utf-8"), raw=False):
        raise InvalidArgumentError(
            "a value has control characters, and this is a terminal",
            hint="redirect the output, or ask for json",
        )

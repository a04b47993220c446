"""Which secrets leave a stash, and the key that each has where it goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from dynastash.errors import DynastashError, InvalidArgumentError, PartialError, SecretNotFoundError, StoreError
from dynastash.frozen import Frozen, field
from dynastash.models import Secret, State
from dynastash.places import Outgoing
from dynastash.references import Reference, parse

if TYPE_CHECKING:
    from dynastash.stash.api import Stash


class Selection(Frozen):
    """What was asked for: every secret under ``prefixes``, and ``secrets`` as pairs of a key and a reference.

    ``key_of`` makes a key of what is left of a name without its prefix, or of the whole name with ``keep_prefix``.
    """

    prefixes: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    keep_prefix: bool = False
    key_of: Callable[[str], str] = str


class Chosen(Frozen):
    """What leaves, and what was asked for and is not given out: the reason by its key."""

    outgoing: tuple[Outgoing, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)


def flat(name: str) -> str:
    """``db-1/Password`` as ``db-1_password``: one level, in lower case, as chamber names its keys."""
    return re.sub("[^a-z0-9_.-]", "_", name.lower())


def choose(stash: Stash, asked: Selection, *, empty: bool = False) -> Chosen:
    """Open what was asked for. A secret that cannot be opened is in ``unreadable``, and the others are there.

    Deleted secrets are not under a prefix. Raises :class:`InvalidArgumentError` where two secrets would have one key,
    :class:`SecretNotFoundError` for a prefix that nothing starts with unless ``empty`` allows that, and whatever the
    store raises.
    """
    keys = _Keys()
    opened: dict[str, Secret] = {}
    failed: dict[str, str] = {}
    references = [(key, parse(text)) for key, text in asked.secrets]
    for key, reference in references:
        keys.take(key, str(reference))
    resolved = _resolved(stash, [reference for _, reference in references])
    for key, reference in references:
        found = resolved[reference]
        if isinstance(found, Secret):
            opened[key] = found
        else:
            failed[key] = str(found)
    for prefix in asked.prefixes:
        under = _under(stash, prefix)
        if not under and not empty:
            raise SecretNotFoundError(
                f"no secret in {stash.environment} starts with {prefix!r}",
                hint="`dynastash list` shows the names; is it another environment's?",
            )
        for name, each in under.items():
            key = _key(name, prefix, asked)
            keys.take(key, name)
            if isinstance(each, Secret):
                opened[key] = each
            else:
                failed[key] = str(each)
    outgoing = (
        Outgoing(
            key,
            each.name,
            each.number,
            each.plaintext,
            each.version.comment,
            each.version.content_type,
        )
        for key, each in opened.items()
    )
    return Chosen(tuple(sorted(outgoing, key=lambda each: each.key.encode())), failed)


class _Keys:
    """Who has which key: two secrets under one are refused before anything is opened for them."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}

    def take(self, key: str, label: str) -> None:
        other = self._labels.setdefault(key, label)
        if other != label:
            raise InvalidArgumentError(
                f"{other} and {label} would both have the key {key}",
                hint=f"name one of them with --secret KEY={label}, under a longer prefix, or add --keep-prefix",
            )


def _key(name: str, prefix: str, asked: Selection) -> str:
    rest = name if asked.keep_prefix else name.removeprefix(prefix).lstrip("/")
    if not rest:
        raise InvalidArgumentError(
            f"nothing of {name} is left for a key without the prefix {prefix}",
            hint=f"name it, as in --secret KEY={name}, and make the prefix longer, or add --keep-prefix",
        )
    return asked.key_of(rest)


def _under(stash: Stash, prefix: str) -> Mapping[str, Secret | DynastashError]:
    """Each secret under ``prefix``, or why it is not given out."""
    try:
        return stash.get_many(prefix=prefix)
    except PartialError as error:
        failures = error.failures
    names = [info.name for info in stash.list(prefix) if info.state is State.ACTIVE and info.name not in failures]
    return {**_many(stash, names), **failures}


def _many(stash: Stash, names: Iterable[str]) -> Mapping[str, Secret | DynastashError]:
    names = list(names)
    if not names:
        return {}
    try:
        return stash.get_many(names)
    except PartialError as error:
        left = [name for name in names if name not in error.failures]
        return {**_many(stash, left), **error.failures}


def _resolved(stash: Stash, references: list[Reference]) -> Mapping[Reference, Secret | DynastashError]:
    wanted = list(dict.fromkeys(references))
    if not wanted:
        return {}
    try:
        return stash.resolve(wanted)
    except PartialError as error:
        failures = error.failures
    except StoreError:
        raise
    except DynastashError as error:
        if len(wanted) > 1:
            raise
        failures = {str(wanted[0]): error}
    failed: dict[Reference, Secret | DynastashError] = {
        each: failures[str(each)] for each in wanted if str(each) in failures
    }
    return {**_resolved(stash, [each for each in wanted if each not in failed]), **failed}

"""Which secrets leave a stash, and the key that each has where it goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from dynastash.errors import InvalidArgumentError, SecretNotFoundError
from dynastash.frozen import Frozen, field
from dynastash.models import Secret, State
from dynastash.places import Outgoing
from dynastash.references import Reference, parse
from dynastash.transfer.opening import open_all
from dynastash.transfer.outgoing import Withheld

if TYPE_CHECKING:
    from dynastash.stash.api import Stash


class Selection(Frozen):
    """What was asked for: every secret under ``prefixes``, and ``secrets`` as pairs of a key and a reference.

    ``key_of`` makes a key of what is left of a name without its prefix, or of the whole name with ``keep_prefix``. A
    secret that has the tag ``key_tag`` has that as its key instead. Where ``only`` is there, nothing else is looked at.
    """

    prefixes: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    keep_prefix: bool = False
    key_of: Callable[[str], str] = str
    key_tag: str | None = None
    only: frozenset[str] | None = None


class Chosen(Frozen):
    """What leaves, and what was asked for and is not given out, by its key."""

    outgoing: tuple[Outgoing, ...]
    unreadable: Mapping[str, Withheld] = field(default_factory=dict)


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
    listed: dict[str, str | None] = {}
    references = [
        (key, reference)
        for key, reference in ((key, parse(text)) for key, text in asked.secrets)
        if asked.only is None or reference.name in asked.only
    ]
    for key, reference in references:
        keys.take(key, str(reference))
    for prefix in asked.prefixes:
        infos = [info for info in stash.list(prefix) if info.state is State.ACTIVE and info.current is not None]
        if not infos and not empty:
            raise SecretNotFoundError(
                f"no secret in {stash.environment} starts with {prefix!r}",
                hint="`dynastash list` shows the names; is it another environment's?",
            )
        for info in infos:
            tag = _tagged(asked, info.tags)
            key = tag or _key(info.name, prefix, asked)
            keys.take(key, info.name)
            if asked.only is None or info.name in asked.only:
                references.append((key, Reference(info.name)))
                listed[key] = tag
    found = open_all(stash, [reference for _, reference in references])
    opened = {key: each for key, reference in references if isinstance(each := found[reference], Secret)}
    failed = {
        key: Withheld(reference.name, str(found[reference])) for key, reference in references if key not in opened
    }
    for key, tag in listed.items():  # from a head that nobody has authenticated yet
        if key in opened and _tagged(asked, opened[key].tags) != tag:
            name = opened.pop(key).name
            failed[key] = Withheld(name, f"the tag {asked.key_tag} of {name} is another than its head was listed with")
    outgoing = (
        Outgoing(key, each.name, each.number, each.plaintext, each.version.comment, each.version.content_type)
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


def _tagged(asked: Selection, tags: Mapping[str, str]) -> str | None:
    return tags.get(asked.key_tag) if asked.key_tag is not None else None


def _key(name: str, prefix: str, asked: Selection) -> str:
    rest = name if asked.keep_prefix else name.removeprefix(prefix).lstrip("/")
    if not rest:
        raise InvalidArgumentError(
            f"nothing of {name} is left for a key without the prefix {prefix}",
            hint=f"name it, as in --secret KEY={name}, and make the prefix longer, or add --keep-prefix",
        )
    return asked.key_of(rest)

"""Where secrets come from and go to besides a stash: what every such place offers, whatever it is.

A *source* is read once, secret by secret, and holds each as a history of revisions under the source's own words; what
it cannot open is in there too, with the reason. A *target* holds one value a key. Neither knows a stash: what is
planned, carried out and verified between the two is the same for all of them (:mod:`dynastash.transfer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from dynastash.errors import InvalidArgumentError
from dynastash.frozen import Frozen, field
from dynastash.models import Plaintext, Stage


class Kind(StrEnum):
    """The kinds of place that are named by ``KIND:WHERE``; files are named by their format and path."""

    CREDSTASH = "credstash"
    SSM = "ssm"
    SECRETS_MANAGER = "secretsmanager"
    ENVIRONMENT = "environment"


_WHERE: Final = {
    Kind.CREDSTASH: "credstash:TABLE",
    Kind.SSM: "ssm:/PATH",
    Kind.SECRETS_MANAGER: "secretsmanager:PREFIX",
    Kind.ENVIRONMENT: "environment:NAME",
}


class Place(Frozen):
    """A place as the user names it. ``where`` is the table, the path, the prefix (which may be empty) or the name."""

    kind: Kind
    where: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}"


def parse(text: str, kinds: Sequence[Kind] = tuple(Kind)) -> Place:
    """The place that ``text`` names, of one of ``kinds``. Raises :class:`InvalidArgumentError`."""
    kind, colon, where = text.partition(":")
    if not colon or kind not in kinds or (not where and kind != Kind.SECRETS_MANAGER):
        expected = [_WHERE[one] for one in kinds]
        raise InvalidArgumentError(
            f"{text!r} names no place that this can be done with", hint=f"write {' or '.join(expected)}"
        )
    if kind == Kind.SSM and not where.startswith("/"):
        raise InvalidArgumentError(f"{text!r} has no path of parameters", hint="a path starts with /, as in ssm:/app1")
    return Place(Kind(kind), where)


class Revision(Frozen):
    """One version of a secret as a source holds it.

    ``label`` is the source's own version, such as ``0000000000000000007``, and empty where the source has none.
    Exactly one of ``value`` and ``problem`` is there; a ``problem`` says, without any part of a value, why the value
    cannot be had. ``created_at`` is aware. ``context`` are the caller's own pairs that the value is bound to there.
    """

    label: str
    value: Plaintext | None
    problem: str | None = None
    comment: str | None = None
    content_type: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    stages: tuple[Stage, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)


class History(Frozen):
    """One secret as a source holds it: ``key`` is its name there, ``revisions`` go from the oldest to the current one.

    ``problem`` says why the secret as a whole cannot be taken, and ``notes`` what whoever takes it should know.
    ``served`` is the label of the revision that readers get today, where it is not the last one: a table of unpadded
    versions serves 9 while 10 is there. Somebody has to decide then which one becomes current.
    """

    key: str
    revisions: tuple[Revision, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    notes: tuple[str, ...] = ()
    served: str | None = None


class Source(Protocol):
    """A place that secrets are taken from. Nothing in it is ever changed."""

    @property
    def description(self) -> str:
        """Where that is, in a few words, for messages: ``credstash table old in eu-west-1``."""
        ...

    def read(self) -> Iterator[History]:
        """Each secret, in the order of the keys' bytes, with every revision unless the source was told otherwise.

        What is wrong with one secret is in its :class:`History`. Raises
        :class:`~dynastash.errors.DynastashError` where the place as a whole cannot be read: nothing is complete then.
        """
        ...


class Outgoing(Frozen):
    """One value on its way to a target: version ``version`` of ``name``, to be held there under ``key``."""

    key: str
    name: str
    version: int
    value: Plaintext
    comment: str | None = None
    content_type: str | None = None


class Held(Frozen):
    """What a target holds under one key.

    ``name`` and ``version`` say which version of which secret dynastash wrote there, as far as the target tells;
    ``owned`` is whether this environment's dynastash made it, so that it may be replaced and removed. ``value`` is None
    where reading it was not possible; then ``problem`` says why.
    """

    key: str
    owned: bool
    value: Plaintext | None = None
    name: str | None = None
    version: int | None = None
    problem: str | None = None


class Target(Protocol):
    """A place that values are handed to."""

    @property
    def description(self) -> str:
        """Where that is, in a few words, for messages."""
        ...

    def refusal(self, outgoing: Outgoing) -> str | None:
        """Why the target cannot hold this as it is (too large, binary, a key it does not allow), or None.

        Nothing is bent to make it fit, and nothing is called.
        """
        ...

    def held(self, keys: Iterable[str]) -> Mapping[str, Held]:
        """What is there, by key: of ``keys``, whoever made it, and everything else that this environment made."""
        ...

    def write(self, outgoing: Outgoing, held: Held | None) -> None:
        """Make or replace one value. ``held`` is what was there when the plan was made, None for nothing.

        Raises :class:`~dynastash.errors.ConflictError` where that has changed meanwhile, as far as the target can tell.
        """
        ...

    def remove(self, held: Held) -> None:
        """Take away what this environment made and no longer wants there."""
        ...

"""Carrying out a plan: versions in order within a secret, secrets beside each other; then what was written is compared.

Each version is one commit that only follows the version which the plan saw. Whoever is interrupted, or was not alone,
makes the plan anew and goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Event
from typing import TYPE_CHECKING, Final

from dynastash import parallel
from dynastash.errors import ConflictError, DynastashError, TransferError
from dynastash.frozen import Frozen, replace
from dynastash.models import Version
from dynastash.references import Reference
from dynastash.transfer.here import Looker
from dynastash.transfer.opening import STOPPING, open_all
from dynastash.transfer.planning import Action, Planned, Rules

if TYPE_CHECKING:
    from dynastash.stash.api import Stash
    from dynastash.transfer.digests import Digests

_WRITES: Final = (Action.CREATE, Action.APPEND)


class Arrived(Frozen, kw_only=True):
    """What became of a secret: ``written`` are the versions that it got, ``compared`` how many values are the same.

    ``error`` says why not all of it was done, and is None for a problem that the plan has named already. ``reached`` is
    False where nothing was tried, because something had failed that concerns all.
    """

    planned: Planned
    written: tuple[int, ...] = ()
    compared: int = 0
    error: DynastashError | None = None
    reached: bool = True


class Arrival:
    """Brings planned secrets into ``stash`` by the ``rules`` of their plan."""

    def __init__(self, stash: Stash, rules: Rules, digests: Digests) -> None:
        self._stash = stash
        self._digests = digests
        self._looker = Looker(stash, digests, whole=rules.whole)
        self._stopped = Event()

    def carry_out(self, plan: Iterable[Planned]) -> Iterator[Arrived]:
        """What becomes of each of ``plan``, in order, several at once.

        After a failure that concerns all secrets, such as a table that is gone, no other write is begun.
        """
        try:
            yield from parallel.streamed(self._one, plan, limit=lambda: max(1, self._stash.concurrency // 2))
        finally:
            self._stopped.set()

    def _one(self, planned: Planned) -> Arrived:
        if planned.action not in _WRITES:
            return Arrived(planned=planned, compared=planned.present)
        if self._stopped.is_set():
            return Arrived(planned=planned, compared=planned.present, reached=False)
        written: list[tuple[int, bytes]] = []
        error: DynastashError | None = None
        compared = planned.present
        try:
            for number, digest in self._written(planned):
                written.append((number, digest))
            compared = len(planned.revisions) - len(written) + self._verified(planned.name, written)
        except DynastashError as failure:
            error = failure
            if isinstance(failure, STOPPING):
                self._stopped.set()
        return Arrived(planned=planned, written=tuple(number for number, _ in written), compared=compared, error=error)

    def _written(self, planned: Planned) -> Iterator[tuple[int, bytes]]:
        """Write what is missing, a version at a time."""
        first = True
        while planned.present < len(planned.revisions):
            if self._stopped.is_set():
                raise TransferError(f"{planned.name} was left half-way", hint="the same command goes on")
            try:
                version = self._put(planned, tagged=first)
            except ConflictError:
                # Somebody was faster: the same values by the same plan are as good as ours.
                here = self._looker.again(planned.name, planned.digests)
                if here.reason is not None or here.present <= planned.present:
                    raise
                planned = replace(planned, present=here.present, behind=here.present, tags={})
                continue
            yield version.number, planned.digests[planned.present]
            first = False
            planned = replace(planned, present=planned.present + 1, behind=version.number)

    def _put(self, planned: Planned, *, tagged: bool) -> Version:
        revision = planned.revisions[planned.present]
        assert revision.value is not None
        return self._stash.put(
            planned.name,
            revision.value,
            if_version=planned.behind,
            comment=revision.comment,
            content_type=revision.content_type,
            expires_at=revision.expires_at,
            tags=planned.tags if tagged and planned.tags else None,
            context=revision.context,
        )

    def _verified(self, name: str, written: Iterable[tuple[int, bytes]]) -> int:
        """Read each version back and compare it with what the source had; how many those were."""
        wanted = {Reference(name, number): digest for number, digest in written}
        for reference, opened in open_all(self._stash, wanted).items():
            if isinstance(opened, DynastashError):
                raise opened
            if self._digests.of(opened.plaintext) != wanted[reference]:
                raise TransferError(
                    f"version {reference.version} of {name} is not what was written", hint="run `dynastash verify`"
                )
        return len(wanted)

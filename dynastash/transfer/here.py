"""What a stash holds already of what is about to come: told by digests, from the first version on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from dynastash import parallel
from dynastash.errors import DynastashError, SecretNotFoundError, StoreError
from dynastash.frozen import Frozen, field
from dynastash.models import Secret, SecretInfo, State, Version
from dynastash.references import Reference
from dynastash.transfer.opening import open_all

if TYPE_CHECKING:
    from dynastash.stash.api import Stash
    from dynastash.transfer.digests import Digests

_TOGETHER: Final = 20
"""Secrets that are opened side by side."""


class Here(Frozen, kw_only=True):
    """What is here of one secret: ``absent``, or the first ``present`` of the revisions that were asked for.

    ``newer`` versions may follow those. ``reason`` says why nothing can follow what is here; ``other_value``: because
    version ``current`` has another value than the one asked for.
    """

    absent: bool = False
    present: int = 0
    newer: int = 0
    current: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None
    other_value: bool = False


class Looker:
    """Looks at what ``stash`` holds: every version from the first one on (``whole``), or the current one alone."""

    def __init__(self, stash: Stash, digests: Digests, *, whole: bool) -> None:
        self._stash = stash
        self._digests = digests
        self._whole = whole

    def look(self, wanted: Mapping[str, Sequence[bytes]], *, prefix: str = "") -> dict[str, Here]:
        """What is here of ``wanted``, the digests of each name's revisions; every name starts with ``prefix``.

        What the listing does not show yet counts as absent: whoever writes finds out.
        """
        found = dict.fromkeys(wanted, Here(absent=True))
        listed = iter([info for info in self._stash.list(prefix) if info.name in wanted] if wanted else [])
        while some := list(islice(listed, _TOGETHER)):
            found |= self._compared(some, wanted)
        return found

    def again(self, name: str, wanted: Sequence[bytes]) -> Here:
        """The same for one name whatever the listing shows, tags aside; the caller knows that it is neither deleted
        nor destroyed."""
        versions = self._versions(name)
        if isinstance(versions, Here):
            return versions
        opened = open_all(self._stash, versions[: len(wanted)])
        return self._judged(list(opened.values()), wanted, len(versions), {})

    def _compared(self, some: Sequence[SecretInfo], wanted: Mapping[str, Sequence[bytes]]) -> dict[str, Here]:
        versions = parallel.each(self._seen, some, limit=self._stash.concurrency)
        asked = {
            info.name: found[: len(wanted[info.name])]
            for info, found in zip(some, versions, strict=True)
            if not isinstance(found, Here)
        }
        opened = open_all(self._stash, (reference for references in asked.values() for reference in references))
        return {
            info.name: found
            if isinstance(found, Here)
            else self._judged(
                [opened[reference] for reference in asked[info.name]], wanted[info.name], len(found), info.tags
            )
            for info, found in zip(some, versions, strict=True)
        }

    def _judged(
        self,
        opened: Sequence[Secret | DynastashError],
        wanted: Sequence[bytes],
        total: int,
        tags: Mapping[str, str],
    ) -> Here:
        for secret, digest in zip(opened, wanted, strict=False):
            if isinstance(secret, SecretNotFoundError):  # gone since it was listed
                return Here(absent=True)
            if isinstance(secret, DynastashError):
                return Here(reason=f"what is here cannot be compared: {secret}")
            if self._digests.of(secret.plaintext) != digest:
                return Here(
                    reason=f"version {secret.number} here has another value", other_value=True, current=secret.number
                )
        return Here(present=len(opened), newer=total - len(opened), tags=tags)

    def _seen(self, info: SecretInfo) -> list[Reference] | Here:
        """The versions of a secret that can be compared, from the first one on, or why nothing can follow them."""
        if info.state is State.DESTROYED:
            return Here(reason="it was destroyed here, and its numbers are used up: choose another name with --map")
        if info.state is State.DELETED:
            return Here(reason=f"it is deleted here: `dynastash undelete {info.name}` takes it back")
        if info.pending is not None:
            return Here(reason=f"a rotation is pending here (version {info.pending})")
        return self._versions(info.name)

    def _versions(self, name: str) -> list[Reference] | Here:
        if not self._whole:
            return [Reference(name)]
        try:
            versions = self._stash.history(name)
        except SecretNotFoundError:
            return Here(absent=True)
        except StoreError:
            raise
        except DynastashError as error:
            return Here(reason=f"what is here cannot be compared: {error}")
        return _whole(versions) or [Reference(name, version.number) for version in versions]


def _whole(versions: Sequence[Version]) -> Here | None:
    """Why nothing can be compared with ``versions``, which are not all of those from the first one on."""
    for number, version in enumerate(versions, 1):
        if version.number != number or version.destroyed_at is not None:
            return Here(reason=f"version {number} was destroyed here, and cannot be compared any more")
        if version.disabled:
            return Here(reason=f"version {number} is deleted here: `dynastash undelete` takes it back")
    if versions and "current" not in versions[-1].stages:
        return Here(reason=f"version {len(versions)} here was never made current: a rotation was aborted")
    return None

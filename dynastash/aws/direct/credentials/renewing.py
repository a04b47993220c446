"""Credentials that expire, and are replaced in good time."""

from __future__ import annotations

import os
import time
from _thread import allocate_lock
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dynastash.aws.direct.credentials.base import CredentialSource, Lease
from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.signing import Credentials

ADVISORY: Final = 15 * 60.0
"""Seconds before the expiry from which on one thread tries to renew, and nobody minds if it fails."""

MANDATORY: Final = 10 * 60.0
"""Seconds before the expiry from which on everybody waits for new credentials, and nobody gets the old ones."""

_PAUSE: Final = 30.0  # between two attempts while what is held will do: their source may be out for a while


class Renewing:
    """Credentials from ``fetch``, which is called when they are first needed and before they expire.

    Where ``fetch`` raises :class:`HandOver` and no credentials are left that may be used, ``otherwise`` makes the
    source that is asked from then on: it knows more ways, or how to complain.
    """

    __slots__ = ("_fetch", "_lease", "_lock", "_not_before", "_now", "_other", "_otherwise", "_process")

    def __init__(
        self,
        fetch: Callable[[], Lease],
        otherwise: Callable[[], CredentialSource],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._fetch = fetch
        self._otherwise = otherwise
        self._now = now
        self._process = os.getpid()
        self._lock = allocate_lock()
        self._lease: Lease | None = None
        self._other: CredentialSource | None = None
        self._not_before = 0.0

    def get(self) -> Credentials:
        """Credentials that are not about to expire."""
        lease = self._fresh()
        return lease.credentials if isinstance(lease, Lease) else lease.get()

    def account(self) -> str | None:
        """The account that came with the credentials."""
        lease = self._fresh()
        return lease.account if isinstance(lease, Lease) else lease.account()

    def _fresh(self) -> Lease | CredentialSource:
        """What is to be used now. In the advisory window one thread renews while the others go on with the old."""
        need = self._need()
        if need is None:
            return self._held()
        if self._process != os.getpid():  # forked: the lock may be held by a thread that exists in the parent only
            self._process = os.getpid()
            self._lock = allocate_lock()
        if not self._lock.acquire(blocking=need):
            return self._held()
        try:
            need = self._need()  # somebody else may have renewed while we waited
            if need is not None:
                self._renew(mandatory=need)
            return self._held()
        finally:
            self._lock.release()

    def _held(self) -> Lease | CredentialSource:
        held = self._other or self._lease
        assert held is not None
        return held

    def _need(self) -> bool | None:
        """Whether to renew: None for not yet, False for may, True for must."""
        if self._other is not None:
            return None
        lease = self._lease
        if lease is None:
            return True
        if lease.expires is None:
            return None
        now = self._now()
        left = lease.expires - now
        if left >= ADVISORY or (left > 0 and now < self._not_before):
            return None
        return left < MANDATORY

    def _renew(self, *, mandatory: bool) -> None:
        now = self._now()
        try:
            lease = self._fetch()
            if lease.expires is not None and lease.expires <= now:
                raise HandOver("the credentials that it got have expired already")
        except HandOver:
            if mandatory:
                self._other = self._otherwise()
            elif self._lease is not None and self._lease.expires is not None:
                self._not_before = min(now + _PAUSE, self._lease.expires - MANDATORY)
            return
        self._lease = lease
        self._not_before = now + _PAUSE  # a source that only ever gives short-lived ones is not asked at every call


if TYPE_CHECKING:

    def _conforms(source: Renewing) -> CredentialSource:
        return source

"""A process that starts and wants its secrets: dynastash with and without what it does about quotas, and credstash."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from bench.storm.quotas import Account, Loop, Quota
from dynastash.aws.window import Window
from dynastash.backoff import DEADLINE, Backoff

SECRETS: Final = 25
DATABASE: Final = 0.004
KMS: Final = 0.012
CONCURRENCY: Final = 32
INDEX_UNITS: Final = 1.0  # 25 heads of 260 bytes, eventually consistent
SECRET_UNITS: Final = 1.0  # a version of up to 4 KiB, strongly consistent


@dataclass(frozen=True, slots=True)
class Measures:
    """What a client does about throttling.

    Without ``backoff`` it asks again every 50 ms, without ``window`` it keeps 32 calls in flight, without ``hold`` a
    throttled call's place goes to the next one, and without ``cache`` each of four worker threads asks for everything.
    """

    jitter: bool = True
    backoff: bool = True
    window: bool = True
    batch: bool = True
    cache: bool = True
    hold: bool = True
    spread: float = 1.0


class Waits(Protocol):
    """One call's patience."""

    def delay(self) -> float | None:
        """Seconds until the next attempt; None for no more."""
        ...


class _Doubling:
    """Up to a deadline, without jitter: 50 ms doubling to 1 s, or always 50 ms."""

    def __init__(self, loop: Loop, *, doubling: bool) -> None:
        self._loop = loop
        self._ends = loop.time + DEADLINE
        self._next = 0.05
        self._doubling = doubling

    def delay(self) -> float | None:
        found = self._next
        if self._doubling:
            self._next = min(1.0, self._next * 2)
        return found if self._loop.time + found < self._ends else None


class _Sdk:
    """botocore's legacy mode: DynamoDB 10 attempts, 50 ms doubling; others 5, each up to 1, 2, 4, 8 s at random."""

    def __init__(self, chance: random.Random | None) -> None:
        self._chance = chance
        self._made = 1

    def delay(self) -> float | None:
        self._made += 1
        if self._made > (5 if self._chance else 10):
            return None
        base = self._chance.random() if self._chance else 0.05
        return base * 2.0 ** (self._made - 2)


@dataclass(slots=True)
class Outcome:
    """How one process fared. ``ended`` is the moment at which it had everything, or gave up."""

    began: float
    ended: float | None = None
    failed: bool = False
    decrypts: int = 0


class Dynastash:
    """All secrets under a prefix: a page of the index, a batch of records, then Decrypts."""

    def __init__(
        self, loop: Loop, account: Account, measures: Measures, outcome: Outcome, calls: dict[str, int]
    ) -> None:
        self._loop = loop
        self._account = account
        self._measures = measures
        self._outcome = outcome
        self._calls = calls
        self._window = Window(CONCURRENCY)
        self._ready: deque[Waits] = deque()
        self._undrawn = 0
        self._in_flight = 0
        self._resting = 0
        self._open = 0
        self._hopeless = False
        self._wanted = list(range(SECRETS)) * (1 if measures.cache else 4)

    def start(self) -> None:
        """Ask for the first thing."""
        if self._measures.batch:
            self._query(self._waits())
        else:
            self._one_by_one(iter(self._wanted))

    def _waits(self) -> Waits:
        if self._measures.jitter and self._measures.backoff:
            return Backoff(self._loop)
        return _Doubling(self._loop, doubling=self._measures.backoff)

    def _ask(self, quota: Quota, units: float, latency: float, answered: Callable[[bool], None], name: str) -> None:
        self._calls[name] += 1
        taken = quota.take(units)
        if not taken:
            self._calls[f"{name} throttled"] += 1
        self._loop.after(latency, answered, taken)

    def _patiently(
        self, quota: Quota, units: float, latency: float, then: Callable[[], None], name: str, waits: Waits
    ) -> None:
        def answered(taken: bool) -> None:
            if taken:
                then()
            elif (delay := waits.delay()) is None:
                self._end(failed=True)
            else:
                self._loop.after(delay, send)

        def send() -> None:
            self._ask(quota, units, latency, answered, name)

        send()

    def _query(self, waits: Waits) -> None:
        self._patiently(
            self._account.index, INDEX_UNITS, DATABASE, lambda: self._batch(self._wanted, self._waits()), "Query", waits
        )

    def _batch(self, wanted: list[int], waits: Waits) -> None:
        """What is throttled comes back as unprocessed; patience starts anew whenever something came."""
        self._calls["BatchGetItem"] += 1
        left = [secret for secret in wanted if not self._account.partition_of(secret).take(SECRET_UNITS)]
        if left:
            self._calls["BatchGetItem throttled"] += 1

        def answered() -> None:
            if not left:
                self._undrawn = self._open = len(self._wanted)
                self._fill()
                return
            again = self._waits() if len(left) < len(wanted) else waits
            delay = again.delay()
            if delay is None:
                self._end(failed=True)
            else:
                self._loop.after(delay, self._batch, left, again)

        self._loop.after(DATABASE, answered)

    def _fill(self) -> None:
        """As dynastash's pipeline does it: no more in flight than the window allows."""
        most = self._window.allowed if self._measures.window else CONCURRENCY
        while self._in_flight + (self._resting if self._measures.hold else 0) < most:
            if not self._ready and self._undrawn:
                self._undrawn -= 1
                self._ready.append(self._waits())
            if not self._ready:
                return
            self._in_flight += 1
            self._decrypt(self._ready.popleft())

    def _decrypt(self, waits: Waits) -> None:
        def answered(taken: bool) -> None:
            self._in_flight -= 1
            if taken:
                self._window.succeeded()
                self._hopeless = False
                self._outcome.decrypts += 1
                self._closed()
            else:
                self._window.throttled(self._in_flight)
                delay = waits.delay()
                self._hopeless = self._hopeless or delay is None
                if delay is None or self._hopeless:
                    self._outcome.failed = True
                    self._closed()
                else:
                    self._resting += 1
                    self._loop.after(delay, awake)
            self._fill()

        def awake() -> None:
            self._resting -= 1
            self._ready.appendleft(waits)
            self._fill()

        self._ask(self._account.kms, 1.0, KMS, answered, "Decrypt")

    def _closed(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._end(failed=self._outcome.failed)

    def _one_by_one(self, left: Iterator[int]) -> None:
        secret = next(left, None)
        if secret is None:
            self._end(failed=False)
            return

        def opened() -> None:
            self._outcome.decrypts += 1
            self._one_by_one(left)

        def found() -> None:
            self._patiently(self._account.kms, 1.0, KMS, opened, "Decrypt", self._waits())

        self._patiently(self._account.partition_of(secret), SECRET_UNITS, DATABASE, found, "Query", self._waits())

    def _end(self, *, failed: bool) -> None:
        self._outcome.failed = failed
        self._outcome.ended = self._loop.time


class Credstash(Dynastash):
    """``credstash getall``: a Scan, then a Query and a Decrypt for each secret in threads, with the SDK's retries."""

    def __init__(
        self, loop: Loop, account: Account, outcome: Outcome, calls: dict[str, int], chance: random.Random
    ) -> None:
        super().__init__(loop, account, Measures(), outcome, calls)
        self._chance = chance

    def start(self) -> None:
        # A Scan reads every partition; its share of each is a fraction of a unit.
        self._patiently(self._account.partitions[0], SECRET_UNITS, DATABASE, self._all, "Scan", _Sdk(None))

    def _all(self) -> None:
        self._open = len(self._wanted)
        for secret in self._wanted:
            self._get(secret)

    def _get(self, secret: int) -> None:
        def opened() -> None:
            self._outcome.decrypts += 1
            self._closed()

        def found() -> None:
            self._patiently(self._account.kms, 1.0, KMS, opened, "Decrypt", _Sdk(self._chance))

        quota = self._account.partition_of(secret)
        self._patiently(quota, SECRET_UNITS, DATABASE, found, "Query", _Sdk(None))

    def _end(self, *, failed: bool) -> None:
        if self._outcome.ended is None:  # the first failure ends the process
            super()._end(failed=failed)

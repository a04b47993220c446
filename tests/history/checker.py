"""Whether a history of one secret is linearizable: Wing and Gong's search with Lowe's memory of configurations.

Each operation must take effect at one moment between its call and its end, in an order that the specification allows.
The search takes the operations one by one in every order that their times permit, and never looks twice at the same
set of operations done with the same state. Secrets do not touch each other, so each is checked by itself: a history is
linearizable just when each of its objects' is (Herlihy and Wing, 1990).

Operations without an end may take effect at any moment after their call, or never. What changes nothing is taken as
soon as it fits: should it fit later too, it would have made no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.history.operations import Operation
from tests.history.specification import READS, State, changes, step

LIMIT = 500_000
"""Configurations of one secret to look at before giving up."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one secret.

    ``linearizable`` is None where the search gave up. ``stuck`` are the operations of which none could come next where
    the search came farthest, and ``state`` what the secret was there.
    """

    secret: str
    linearizable: bool | None
    operations: int
    configurations: int
    state: State
    stuck: Sequence[Operation] = ()

    def __str__(self) -> str:
        if self.linearizable:
            return f"{self.secret}: {self.operations} operations, linearizable"
        if self.linearizable is None:
            return f"{self.secret}: undecided after {self.configurations} configurations"
        lines = [f"{self.secret}: not linearizable. After the most that fits, in {self.state}, none of these can be:"]
        return "\n  ".join([*lines, *map(str, self.stuck)])


def check(operations: Iterable[Operation], limit: int = LIMIT) -> list[Verdict]:
    """A verdict for each secret in ``operations``."""
    secrets: dict[str, list[Operation]] = {}
    for operation in operations:
        secrets.setdefault(operation.secret, []).append(operation)
    return [_Search(secret, mine, limit).verdict() for secret, mine in sorted(secrets.items())]


class _Search:
    def __init__(self, secret: str, operations: Sequence[Operation], limit: int) -> None:
        self._secret = secret
        self._limit = limit
        ordered = sorted(operations, key=lambda operation: operation.invoked)
        self._ended = [operation for operation in ordered if operation.outcome is not None]
        self._open = _pinned([one for one in ordered if one.outcome is None and one.kind not in READS], self._ended)

    def verdict(self) -> Verdict:
        """Depth first, with a stack of its own: a history is longer than Python's."""
        everything = (1 << len(self._ended)) - 1
        ended, state = self._read(0, State())
        best = (ended, 0, state)
        seen: set[tuple[int, int, State]] = {(ended, 0, state)}
        stack = [self._following(ended, 0, state)]
        while ended != everything and stack and len(seen) <= self._limit:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
                continue
            ended, opened, state = following
            ended, state = self._read(ended, state)
            if (ended, opened, state) in seen:
                continue
            seen.add((ended, opened, state))
            if ended.bit_count() > best[0].bit_count():
                best = (ended, opened, state)
            stack.append(self._following(ended, opened, state))
        total = len(self._ended) + len(self._open)
        if ended == everything:
            return Verdict(self._secret, True, total, len(seen), state)
        if stack:
            return Verdict(self._secret, None, total, len(seen), best[2])
        numbers, unended = self._candidates(best[0], best[1])
        stuck = [*(self._ended[number] for number in numbers), *(self._open[number] for number in unended)]
        return Verdict(self._secret, False, total, len(seen), best[2], stuck)

    def _following(self, ended: int, opened: int, state: State) -> Iterator[tuple[int, int, State]]:
        """Each configuration one change further. Those that ended first come first, those without an end last."""
        numbers, unended = self._candidates(ended, opened)
        for number in sorted(numbers, key=lambda number: self._ended[number].returned or 0):
            if changes(self._ended[number]):
                for after in step(state, self._ended[number]):
                    yield ended | 1 << number, opened, after
        for number in unended:
            for after in step(state, self._open[number]):
                yield ended, opened | 1 << number, after

    def _read(self, ended: int, state: State) -> tuple[int, State]:
        """Take what fits and changes nothing, until nothing of that is left to come next."""
        while True:
            numbers, _ = self._candidates(ended, -1)
            fitting = [
                number for number in numbers if not changes(self._ended[number]) and step(state, self._ended[number])
            ]
            if not fitting:
                return ended, state
            for number in fitting:
                ended |= 1 << number

    def _candidates(self, ended: int, opened: int) -> tuple[list[int], list[int]]:
        """What may come next: whatever was called before the first of the others has ended."""
        numbers: list[int] = []
        first_end: float = float("inf")
        number = ((ended + 1) & ~ended).bit_length() - 1  # the first that is not done
        while number < len(self._ended) and self._ended[number].invoked <= first_end:
            if not ended >> number & 1:
                numbers.append(number)
                first_end = min(first_end, self._ended[number].returned or first_end)
            number += 1
        numbers = [number for number in numbers if self._ended[number].invoked <= first_end]
        unended = [
            number
            for number, operation in enumerate(self._open)
            if not opened >> number & 1 and operation.invoked <= first_end
        ]
        return numbers, unended


def _pinned(unended: Sequence[Operation], ended: Sequence[Operation]) -> list[Operation]:
    """``unended`` with the version that others saw its value in: every value is written once."""
    versions: dict[str, int] = {}
    for operation in ended:
        result = operation.result or {}
        number = result.get("version", operation.arguments.get("version"))
        if operation.kind in READS and "value" in result:
            versions[result["value"]] = number
        if "pending_value" in result:
            versions[result["pending_value"]] = result["pending"]
    return [
        replace(operation, outcome={"ok": {"version": versions[operation.arguments["value"]]}})
        if operation.arguments.get("value") in versions
        else operation
        for operation in unended
    ]

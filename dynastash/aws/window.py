"""How many calls to have in flight at once: as many as asked for, and fewer while the service says that it is too many.

Additive increase, multiplicative decrease, as TCP has it: halved when throttled, at most once in the time that the
calls under way at that moment need to end, and one more for each window full of successes. The quota is shared with
others in the account and Region, so that nobody knows what is left of it but by asking.
"""

from __future__ import annotations

from typing import Final

_LEAST: Final = 1.0


class Window:
    """What was learned of one service, from one use to the next. Threads may share it, and at worst learn twice."""

    __slots__ = ("_allowed", "_deaf", "maximum")

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._allowed = float(maximum)
        self._deaf = 0  # answers to calls that were sent before the last halving say nothing new

    @property
    def allowed(self) -> int:
        """How many calls may be in flight; from 1 to ``maximum``."""
        return int(self._allowed)

    def succeeded(self) -> None:
        """A call was not throttled."""
        if self._deaf:
            self._deaf -= 1
        elif self._allowed < self.maximum:
            self._allowed = min(float(self.maximum), self._allowed + 1 / self._allowed)

    def throttled(self, in_flight: int) -> None:
        """A call was throttled while ``in_flight`` others were under way."""
        if self._deaf:
            self._deaf -= 1
        else:
            self._allowed = max(_LEAST, self._allowed / 2)
            self._deaf = in_flight

"""Raw random bytes: symmetric keys, salts, seeds."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import ClassVar, Final

from dynastash.generate.base import Policy, check_whole
from dynastash.models import MAX_VALUE

MIN_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RandomBytes(Policy):
    """``count`` random bytes, 16 to 327,680 (the largest value). Not text: no encoding is applied."""

    kind: ClassVar[str] = "bytes"
    count: int = 32

    def __post_init__(self) -> None:
        check_whole("the number of random bytes", self.count, MIN_BYTES, MAX_VALUE)

    @property
    def entropy_bits(self) -> float:
        """8 bits for each byte."""
        return 8.0 * self.count

    def describe(self) -> str:
        return f"{self.count} random bytes, {int(self.entropy_bits)} bits"

    def make(self) -> bytes:
        return secrets.token_bytes(self.count)

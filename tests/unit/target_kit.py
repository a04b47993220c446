"""A target in memory, which counts what is asked of it and fails where a test says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynastash.errors import ConflictError, DynastashError
from dynastash.frozen import replace
from dynastash.models import Plaintext
from dynastash.places import Held, Outgoing


class MemoryTarget:
    """Holds values up to ``largest`` bytes. ``failing`` are errors by key, ``stale`` reads that show the past."""

    description = "memory"

    def __init__(self, largest: int = 100) -> None:
        self.largest = largest
        self.there: dict[str, Held] = {}
        self.calls: list[str] = []
        self.failing: dict[str, BaseException] = {}
        self.stale = 0
        self._before: dict[str, Held] = {}

    def foreign(self, key: str, value: bytes) -> None:
        """Something that somebody else made."""
        self.there[key] = Held(key, False, Plaintext(value))

    def values(self) -> dict[str, bytes]:
        return {key: held.value.expose() for key, held in self.there.items() if held.value is not None}

    def refusal(self, outgoing: Outgoing) -> str | None:
        return None if len(outgoing.value.expose()) <= self.largest else f"takes {self.largest} bytes at most"

    def held(self, keys: Iterable[str]) -> Mapping[str, Held]:
        wanted = set(keys)
        self.calls.append("held")
        seen = self.there
        if self.stale:
            self.stale -= 1
            seen = self._before
        return {key: held for key, held in seen.items() if key in wanted or held.owned}

    def write(self, outgoing: Outgoing, held: Held | None) -> None:
        self.calls.append(f"write {outgoing.key}")
        if error := self.failing.get(outgoing.key):
            raise error
        if (held is None) != (outgoing.key not in self.there):
            raise ConflictError(f"{outgoing.key} has changed")
        self._before = dict(self.there)
        self.there[outgoing.key] = Held(outgoing.key, True, outgoing.value, outgoing.name, outgoing.version)

    def remove(self, held: Held) -> None:
        self.calls.append(f"remove {held.key}")
        if error := self.failing.get(held.key):
            raise error
        self._before = dict(self.there)
        del self.there[held.key]

    def tamper(self, key: str, value: bytes) -> None:
        """Change what this environment made, as somebody at the console would."""
        self.there[key] = replace(self.there[key], value=Plaintext(value))


def failure(message: str = "no") -> DynastashError:
    return DynastashError(message)

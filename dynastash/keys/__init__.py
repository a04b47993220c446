"""Key providers. Implementations are imported where they are wired: :mod:`dynastash.connect`."""

from dynastash.keys.base import KeyProvider

__all__ = ["KeyProvider"]

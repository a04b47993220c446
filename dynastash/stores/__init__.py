"""Stores. Implementations are imported where they are wired: :mod:`dynastash.connect`."""

from dynastash.stores.base import Change, HeadMark, RecordKey, Store

__all__ = ["Change", "HeadMark", "RecordKey", "Store"]

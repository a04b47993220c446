"""Rotators: what knows how to change one kind of credential. The steps themselves are the stash's (create → finish)."""

from dynastash.stash.rotation import Rotation, Rotator

__all__ = ["Rotation", "Rotator"]

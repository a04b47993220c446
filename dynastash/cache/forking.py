"""Keeping an object whole across ``os.fork``."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class AcrossForks(Protocol):
    """What takes part. The child gets an object that no thread was in the middle of changing."""

    def before_fork(self) -> None:
        """Wait until nobody changes the object, and keep it so."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on."""
        ...

    def after_fork_in_child(self) -> None:
        """Begin anew: the other threads are gone, and with them whoever would have released a lock."""
        ...


def take_part(taking: AcrossForks) -> None:
    """Call ``taking`` around every fork of this process, for as long as it lives.

    The interpreter keeps these few hooks for ever: for what an application makes once.
    """
    reference = weakref.ref(taking)
    held: list[AcrossForks] = []

    def before() -> None:
        found = reference()
        if found is not None:
            found.before_fork()
            held.append(found)

    def in_parent() -> None:
        while held:
            held.pop().after_fork_in_parent()

    def in_child() -> None:
        while held:
            held.pop().after_fork_in_child()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)

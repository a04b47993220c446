"""Numbers that are never to be used again, though the store does not know of them.

After a restore from a backup a secret's ``last`` is behind what readers have seen. The next put would give a number out
a second time, to another value: whoever kept the first one by its number could not tell them apart. So the numbers in
between count as destroyed from now on, and the highest of them stands there as a tombstone (I2, I3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynastash.crypto import attributes, records
from dynastash.errors import ConflictError, SecretNotFoundError
from dynastash.frozen import replace
from dynastash.models import Head, Item, State
from dynastash.stash.changes import Changes, void
from dynastash.stash.reader import Reader, no_secret

if TYPE_CHECKING:
    from dynastash.crypto.kdf import DerivedKeys


def advance(reader: Reader, changes: Changes, name: str, number: int) -> Head:
    """Let the next version of ``name`` be ``number + 1`` or more. A secret that is further already stays as it is.

    One head compare-and-swap with one tombstone. Raises :class:`SecretNotFoundError` where there is no such secret, and
    :class:`ConflictError` where the head has no room for the numbers.
    """

    def attempt() -> Head:
        snapshot, author = changes.begin(name)
        if snapshot is None:
            raise _nothing_there(name, number)
        head = snapshot.head
        keys: DerivedKeys | None = None
        if head.state is not State.DESTROYED:
            keys = reader.trusted(snapshot).keys
        if head.last >= number:
            return head
        if keys is None:  # a destroyed secret counts as pruned below its last version
            below, destroyed = number, frozenset((number,))
        else:
            below, destroyed = head.pruned_below, head.destroyed.union(range(head.last + 1, number + 1))
            if len(destroyed) > attributes.MAX_NUMBERS:
                raise ConflictError(
                    f"{name} is {number - head.last} numbers behind, and its head has room for "
                    f"{attributes.MAX_NUMBERS} destroyed versions",
                    hint=f"run `dynastash prune {name}` first, or put the secret under another name",
                )
        successor = replace(changes.touched(head, author), last=number, pruned_below=below, destroyed=destroyed)
        tombstone = _tombstone(name, number, reader.clock.now(), author)
        changes.commit(snapshot, successor, keys, create=[tombstone])
        return successor

    return changes.until_won(name, attempt)


def _tombstone(name: str, number: int, now: int, author: str) -> Item:
    never = void(name, number, now, created_by=author)
    return records.encode_tombstone(never, destroyed_ms=now, destroyed_by=author, ttl=None)


def _nothing_there(name: str, number: int) -> SecretNotFoundError:
    error = no_secret(name)
    error.hint = f"restore it from a backup first; a secret that never comes back up to {number} needs another name"
    return error

"""Writing: read, check, build, commit; and again where another writer was faster (docs/format-v1.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dynastash import parallel
from dynastash.crypto import envelope
from dynastash.crypto.kdf import DerivedKeys
from dynastash.crypto.records import VersionMetadata
from dynastash.errors import ConflictError, DynastashError, InvalidArgumentError, SecretDeletedError
from dynastash.frozen import Frozen, field, replace
from dynastash.models import MAX_VERSION, Context, Head, Item, Plaintext, State
from dynastash.stash.changes import Changes
from dynastash.stash.reader import Reader, Snapshot, no_secret, refuse_destroyed

_ABSENT: Final = 0
"""What ``if_version`` says to require that there is no such secret."""


class NewVersion(Frozen, kw_only=True):
    """What a new version shall hold, checked. ``tags`` and ``rotation`` are the secret's; None keeps what it has."""

    value: Plaintext
    comment: str | None = None
    content_type: str | None = None
    expires_at: int | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] | None = None
    rotation: Item | None = None


class Written(Frozen):
    """A version and the head with which it was committed."""

    metadata: VersionMetadata
    head: Head


class Writer:
    """Changes secrets of one environment, one head compare-and-swap at a time."""

    def __init__(self, reader: Reader, changes: Changes) -> None:
        self._reader = reader
        self._changes = changes

    def put(self, name: str, new: NewVersion, *, if_version: int | None, write_only: bool, recreate: bool) -> Written:
        """Add a version and make it current. ``recreate`` goes on behind a destroyed secret's numbers."""

        def attempt() -> Written:
            snapshot, author = self._changes.begin(name)
            head = snapshot.head if snapshot is not None else None
            reborn = recreate and head is not None and head.state is State.DESTROYED
            self._require(name, snapshot, if_version, trusting=write_only, reborn=reborn)
            if snapshot is None or write_only or reborn:  # a destroyed head has no seal to check
                metadata, item, keys = self._seal(name, new, head, author)
            else:
                _, (metadata, item, keys) = parallel.both(
                    lambda: self._reader.trusted(snapshot),
                    lambda: self._seal(name, new, head, author),
                    limit=self._reader.keys.concurrency,
                )
            successor = replace(
                self._successor(head, new, metadata, author, forget=write_only or reborn),
                current=metadata.number,
                previous=head.current if head is not None else None,
                comment=new.comment,
                expires_at=new.expires_at,
            )
            self._changes.commit(snapshot, successor, keys, create=[item])
            return Written(metadata, successor)

        return self._changes.until_won(name, attempt)

    def stage(self, name: str, new: NewVersion, *, if_version: int) -> Written:
        """Add a version as pending; current stays. ``if_version`` is the current version that ``new`` replaces."""

        def attempt() -> Written:
            snapshot, author = self._changes.begin(name)
            if snapshot is None:
                raise no_secret(name)
            self._require(name, snapshot, if_version)
            trusted, (metadata, item, _) = parallel.both(
                lambda: self._reader.trusted(snapshot),
                lambda: self._seal(name, new, snapshot.head, author),
                limit=self._reader.keys.concurrency,
            )
            successor = self._successor(snapshot.head, new, metadata, author, forget=False)
            successor = replace(successor, pending=metadata.number)
            self._changes.commit(snapshot, successor, trusted.keys, create=[item])
            return Written(metadata, successor)

        return self._changes.until_won(name, attempt)

    def promote(self, name: str, pending: int) -> Written:
        """Make the pending version current. Done already is done; one that expired meanwhile is refused."""

        def attempt() -> Written:
            snapshot, author = self._changes.begin(name)
            snapshot = self._require_pending(name, snapshot, pending, done=True)
            head = snapshot.head
            opened = self._reader.open_beside(snapshot, pending)
            metadata = opened.record.metadata
            if head.pending is None:
                return Written(metadata, head)
            self._reader.usable(opened)
            successor = replace(
                self._changes.touched(head, author),
                previous=head.current,
                current=pending,
                pending=None,
                comment=metadata.comment,
                expires_at=metadata.expires_at,
            )
            self._changes.commit(snapshot, successor, opened.record.keys)
            return Written(metadata, successor)

        return self._changes.until_won(name, attempt)

    def abort(self, name: str, pending: int) -> Written:
        """Take the pending stage away. The version stays, without a stage; it is not opened, and may be damaged."""

        def attempt() -> Written:
            snapshot, author = self._changes.begin(name)
            snapshot = self._require_pending(name, snapshot, pending, done=False)
            trusted = self._reader.trusted(snapshot)
            if snapshot.head.current is None:
                raise ConflictError(
                    f"{name} has only its pending version",
                    hint=f"finish with `dynastash rotate {name} --resume --rotator generate`",
                )
            metadata = self._reader.described(snapshot, pending)
            successor = replace(self._changes.touched(snapshot.head, author), pending=None)
            self._changes.commit(snapshot, successor, trusted.keys)
            return Written(metadata, successor)

        return self._changes.until_won(name, attempt)

    def _require(
        self,
        name: str,
        snapshot: Snapshot | None,
        if_version: int | None,
        *,
        trusting: bool = False,
        reborn: bool = False,
    ) -> None:
        """Refuse to add a version in a state that forbids it, or where current is not what the caller expects.

        What the refusal says of the secret is authenticated first, unless the caller is ``trusting``. ``reborn`` lets a
        destroyed secret go on.
        """
        head = snapshot.head if snapshot is not None else None
        try:
            if head is not None:
                if not reborn:
                    refuse_destroyed(head)
                if head.state is State.DELETED:
                    raise SecretDeletedError(f"{name} is deleted", hint=f"`dynastash undelete {name}` takes it back")
            require_version(name, head, if_version)
            if head is not None:
                require_no_pending(head)
                if head.last >= MAX_VERSION:
                    raise InvalidArgumentError(f"{name} has used up its version numbers", hint="use another name")
        except DynastashError:
            if snapshot is not None and not trusting:
                self._reader.vouch(snapshot)
            raise

    def _require_pending(self, name: str, snapshot: Snapshot | None, pending: int, *, done: bool) -> Snapshot:
        """Refuse unless version ``pending`` is pending, or, where ``done`` will do, current already."""
        if snapshot is None:
            raise no_secret(name)
        head = snapshot.head
        try:
            refuse_destroyed(head)
            if head.state is State.DELETED:
                raise SecretDeletedError(f"{name} is deleted", hint=f"`dynastash undelete {name}` takes it back")
            finished = done and head.pending is None and head.current == pending
            if head.pending != pending and not finished:
                found = f"version {head.pending} is" if head.pending else "no version is"
                raise ConflictError(
                    f"version {pending} of {name} is not pending any more: {found}",
                    hint=f"`dynastash history {name}` shows what happened",
                )
        except ConflictError:
            self._reader.vouch(snapshot)
            raise
        return snapshot

    def _seal(
        self, name: str, new: NewVersion, head: Head | None, author: str
    ) -> tuple[VersionMetadata, Item, DerivedKeys]:
        environment = self._reader.environment
        metadata = VersionMetadata(
            name=name,
            number=head.last + 1 if head is not None else 1,
            created_ms=self._reader.clock.now(),
            created_by=author,
            comment=new.comment,
            content_type=new.content_type,
            expires_at=new.expires_at,
            context=new.context,
        )
        data_key, wrapped = self._reader.keys.generate(Context(environment, name, metadata.number, new.context))
        item, keys = envelope.seal_version(environment, metadata, new.value, data_key, wrapped)
        return replace(metadata, key_id=wrapped.key_id), item, keys

    def _successor(
        self, head: Head | None, new: NewVersion, metadata: VersionMetadata, author: str, *, forget: bool
    ) -> Head:
        """The next head, stages aside.

        ``forget`` keeps of a head whose seal nobody checked what numbers depend on, and nothing that somebody could
        have written into it for us to seal.
        """
        if head is not None and not forget:
            successor = replace(self._changes.touched(head, author), last=metadata.number)
        else:
            successor = Head(
                name=metadata.name,
                last=metadata.number,
                revision=head.revision + 1 if head is not None else 1,
                pruned_below=head.pruned_below if head is not None else 1,
                destroyed=head.destroyed if head is not None else frozenset(),
                state=State.ACTIVE,
                created_ms=metadata.created_ms,
                updated_ms=metadata.created_ms,
                updated_by=author,
            )
        if new.tags is not None:
            successor = replace(successor, tags=new.tags)
        if new.rotation is not None:
            successor = replace(successor, rotation=new.rotation)
        return successor


def require_version(name: str, head: Head | None, if_version: int | None) -> None:
    """Raise :class:`ConflictError` unless ``if_version`` is the current version (0: unless there is no such secret)."""
    current = head.current if head is not None else None
    if if_version is not None and if_version != (current or _ABSENT):
        found = f"is at version {current}" if current else "does not exist"
        wanted = f"version {if_version}" if if_version else "no such secret"
        raise ConflictError(
            f"{name} {found}, and {wanted} was expected", hint=f"look at `dynastash history {name}` and decide"
        )


def require_no_pending(head: Head) -> None:
    """Raise :class:`ConflictError` while a rotation is pending."""
    if head.pending is not None:
        raise ConflictError(
            f"a rotation of {head.name} is pending (version {head.pending})",
            hint=f"finish it with `dynastash rotate {head.name} --resume -- PROGRAM`, or end it with `--abort`",
        )

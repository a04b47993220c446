"""The stash: every use case of one environment, for any store and any key provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from dynastash.clock import Clock, SystemClock
from dynastash.errors import ConflictError, DynastashError, InvalidArgumentError
from dynastash.frozen import replace
from dynastash.keys.base import KeyProvider
from dynastash.models import (
    Difference,
    Plaintext,
    Secret,
    SecretInfo,
    Stage,
    State,
    Version,
    check_environment,
    check_name,
    check_prefix,
    check_version,
)
from dynastash.stash import questions, views
from dynastash.stash.highwater import HighWater
from dynastash.stash.reader import Opened, Reader
from dynastash.stores.base import Store

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from dynastash.generate import Policy
    from dynastash.references import Reference
    from dynastash.stash.changes import Changes
    from dynastash.stash.lifecycle import Lifecycle
    from dynastash.stash.rewrapping import Rewrapped, RewrappedSecret
    from dynastash.stash.rotating import Rotations
    from dynastash.stash.rotation import Rotator
    from dynastash.stash.verify import Verified
    from dynastash.stash.writer import NewVersion, Writer, Written


class Stash:
    """Versioned secrets of one environment.

    :func:`dynastash.connect` makes one. Safe to use from several threads. Every method raises
    :class:`~dynastash.errors.DynastashError` and nothing else, apart from programming mistakes.

    ``identity`` says who writes, for ``created_by``; it is asked once, at the first write. ``seen`` remembers the
    highest state of each secret, below which the store must not fall: by default for as long as this object lives.
    """

    def __init__(
        self,
        environment: str,
        store: Store,
        keys: KeyProvider,
        *,
        identity: Callable[[], str],
        clock: Clock | None = None,
        seen: HighWater | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._store = store
        self._keys = keys
        self._identity = identity
        self._reader = Reader(check_environment(environment), store, keys, self._clock, seen or HighWater())

    def __repr__(self) -> str:
        return f"<Stash {self.environment}: {self.where}>"

    @property
    def environment(self) -> str:
        """The environment's name."""
        return self._reader.environment

    @property
    def store(self) -> Store:
        """The store itself, for what carries records as they are."""
        return self._store

    @property
    def where(self) -> str:
        """Where the records are, in a few words, for messages."""
        return self._store.description

    @property
    def key(self) -> str:
        """The key-encryption key in a few words, for messages."""
        return self._keys.description

    @property
    def concurrency(self) -> int:
        """How many secrets are worth opening at once, now; 1 where no network is waited for."""
        return self._keys.concurrency

    def put(
        self,
        name: str,
        value: str | bytes | Plaintext,
        *,
        if_version: int | None = None,
        comment: str | None = None,
        content_type: str | None = None,
        expires_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        context: Mapping[str, str] | None = None,
        write_only: bool = False,
        recreate: bool = False,
    ) -> Version:
        """Add ``value`` as the next version of ``name`` and make it current.

        ``if_version`` refuses unless that is the current version (0: unless there is no such secret). ``expires_at``
        is an aware datetime. ``tags`` label the secret and stay until they are given anew; ``context`` is bound to this
        version's key and public. At most 320 KiB. ``write_only`` is for callers who may not unwrap: the head is then
        not checked, and the secret's tags, rotation policy, deleted versions and creation time are forgotten.
        ``recreate`` begins a destroyed secret anew, behind the numbers that it has used.

        Raises :class:`ConflictError` where ``if_version`` does not hold or a rotation is pending,
        :class:`SecretDeletedError`, :class:`SecretDestroyedError`, :class:`ValueTooLargeError`.
        """
        from dynastash.stash import inputs

        new = inputs.new_version(self._clock.now(), value, comment, content_type, expires_at, tags, context)
        return self._put(name, new, if_version=if_version, write_only=write_only, recreate=recreate)

    def generate(
        self,
        name: str,
        policy: Policy,
        *,
        if_version: int | None = None,
        comment: str | None = None,
        content_type: str | None = None,
        expires_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        context: Mapping[str, str] | None = None,
        write_only: bool = False,
        recreate: bool = False,
    ) -> Version:
        """As :meth:`put`, with a new random value by ``policy``, which the secret carries from then on."""
        from dynastash.generate import generate
        from dynastash.stash import inputs
        from dynastash.stash.rotation import rotation_item

        new = inputs.new_version(self._clock.now(), generate(policy), comment, content_type, expires_at, tags, context)
        new = replace(new, rotation=rotation_item(policy))
        return self._put(name, new, if_version=if_version, write_only=write_only, recreate=recreate)

    def get(
        self,
        name: str,
        *,
        version: int | None = None,
        stage: Stage | str | None = None,
        min_version: int | None = None,
    ) -> Secret:
        """Open the current version of ``name``, or version ``version``, or the one at ``stage``.

        ``min_version`` is what the caller knows the secret to have reached: where its current version is lower, the
        store was put back, and that is a :class:`RollbackError`.

        Raises :class:`SecretNotFoundError`, :class:`VersionNotFoundError`, :class:`SecretDeletedError`,
        :class:`SecretDestroyedError`, :class:`ExpiredError`; :class:`EnvelopeError` for a record that is not what
        dynastash wrote.
        """
        check_name(name)
        questions.version_or_stage(version, stage)
        if min_version is not None:
            check_version(min_version)
        if version is not None:
            opened = self._reader.version(name, check_version(version))
        elif stage is not None and (wanted := Stage.named(stage)) is not Stage.CURRENT:
            opened = self._reader.staged(name, wanted)
        else:
            opened = self._reader.current(name)
        if min_version is not None:
            questions.reached(name, opened.head.current or 0, min_version)
        return views.secret(self._reader.usable(opened))

    def get_many(self, names: Iterable[str] | None = None, *, prefix: str | None = None) -> dict[str, Secret]:
        """Open the current versions of ``names``, or of every secret whose name starts with ``prefix``.

        All or nothing: where one cannot be had, :class:`PartialError` names every one that failed and nothing is
        returned. Under a prefix, deleted and destroyed secrets are left out, and what was written within the last
        moments may not be seen yet. The result is in the order of ``names``, or in that of the names' bytes.
        """
        from dynastash.stash import together

        reader, wanted = self._reader, questions.selection(names, prefix)

        def view(opened: Opened) -> Secret | None:
            if prefix is not None and opened.head.state is not State.ACTIVE:
                return None
            return views.secret(reader.usable(opened))

        if isinstance(wanted, str):
            return views.whole(together.with_prefix(reader, wanted, view))
        return views.whole(together.named(reader, wanted, view))

    def resolve(self, references: Iterable[str | Reference]) -> dict[Reference, Secret]:
        """Open what ``references`` name, ``NAME[@VERSION][#FIELD]`` (:mod:`dynastash.references`), each once.

        All or nothing, as :meth:`get_many`, whose batches it shares; the value of a reference with a field is that
        field's text. Raises :class:`PartialError`, its ``failures`` by reference, or of a single one its own error.
        """
        from dynastash.stash.resolving import resolve

        return resolve(self._reader, questions.references(references))

    def locate(self, references: Iterable[str | Reference]) -> dict[Reference, Version | DynastashError]:
        """The version that each of ``references`` leads to, or the error that :meth:`resolve` would raise for it.

        Two batched reads, and no key is used: nothing is opened or authenticated, and fields are not looked for.
        """
        from dynastash.stash.locating import locate

        return locate(self._reader, questions.references(references))

    def list(self, prefix: str = "", *, verified: bool = False) -> Sequence[SecretInfo]:
        """The secrets whose names start with ``prefix``, in the order of their names' bytes.

        From the heads alone: deleted and destroyed secrets are there with their state, a change of the last moments
        may not be, and nothing is authenticated. ``verified`` reads each head and checks its seal (one unwrap a
        secret), and raises :class:`PartialError` where one fails.
        """
        from dynastash.stash import listing

        heads = listing.heads(self._reader, check_prefix(prefix))
        if verified:
            heads = listing.verified(self._reader, heads)
        return [views.info(head) for head in heads]

    def history(self, name: str) -> Sequence[Version]:
        """Every version of ``name``, oldest first: who, when, why, and the stages. Opens and authenticates nothing."""
        from dynastash.stash import listing

        head, versions = listing.history(self._reader, check_name(name))
        return [views.version(version, head) for version in versions]

    def rollback(
        self, name: str, version: int | None = None, *, comment: str | None = None, if_version: int | None = None
    ) -> Version:
        """Put the value of an earlier version (default: the previous one) again, as a new version.

        Content type and context come along; an expiry does not. Nothing is taken back: numbers only grow. Refuses
        where another writer comes between, or where ``if_version`` is not the current version.
        """
        from dynastash.stash import inputs
        from dynastash.stash.writer import require_version

        inputs.expected(if_version)
        check_name(name)
        if version is None:
            old = self._reader.staged(name, Stage.PREVIOUS)
        else:
            old = self._reader.version(name, check_version(version))
        self._reader.usable(old, expired=True)
        require_version(name, old.head, if_version)
        metadata = old.record.metadata
        if metadata.number == old.head.current:
            raise ConflictError(
                f"version {metadata.number} of {name} is current already", hint=f"`dynastash history {name}` shows all"
            )
        new = inputs.new_version(
            self._clock.now(),
            old.record.plaintext,
            comment if comment is not None else f"rollback to version {metadata.number}",
            metadata.content_type,
            None,
            None,
            metadata.context,
        )
        return self._put(name, new, if_version=old.head.current or 0)

    def policy(self, name: str) -> Policy | None:
        """The policy by which ``name`` is rotated, or None where it carries none."""
        from dynastash.stash.rotation import policy_of

        return policy_of(self._reader.usable(self._reader.current(check_name(name)), expired=True).head)

    def rotate(
        self,
        name: str,
        rotator: Rotator | None = None,
        *,
        policy: Policy | None = None,
        comment: str | None = None,
        expires_at: datetime | None = None,
        if_version: int | None = None,
    ) -> Version:
        """Replace the current value through a rotator: create → set → test → finish.

        Without a rotator the new value is made by ``policy``, or by the policy that the secret carries, and nobody
        needs to be told. A ``policy`` given here is carried from then on. Content type and context come along.

        A step that fails raises :class:`RotationError`; so does dying half-way leave things: the current version is
        still current and the new one is pending. Then :meth:`resume` or :meth:`abort`.
        """
        from dynastash.stash import inputs

        return _written(
            self._rotations.rotate(
                check_name(name),
                rotator,
                policy,
                comment=comment,
                expires_at=expires_at,
                if_version=inputs.expected(if_version),
            )
        )

    def resume(self, name: str, rotator: Rotator) -> Version:
        """Go on with a rotation that stopped: set, test and finish with the version that is pending.

        ``rotator`` is what the rotation was started with. Where nobody has to be told, that is a
        :class:`~dynastash.rotation.generate.GenerateRotator`; to assume it would make a value current that the target
        system was never told.
        """
        return _written(self._rotations.resume(check_name(name), rotator))

    def abort(self, name: str) -> Version:
        """End a rotation that stopped: the pending version loses its stage and is never used."""
        return _written(self._rotations.abort(check_name(name)))

    def delete(
        self, name: str, version: int | None = None, *, recovery_days: int = 30, if_version: int | None = None
    ) -> SecretInfo:
        """Hide a secret, or one version of it that is neither current nor pending, so that it can be undeleted.

        A deleted secret is due to be destroyed ``recovery_days`` from now (0 to 3,650), by whoever purges; nothing
        happens to it by itself, and until then and after it can be undeleted. A secret that is deleted already keeps
        its date; a deleted version has none. Refused while a rotation is pending.
        """
        from dynastash.stash import inputs

        check_name(name)
        if not 0 <= recovery_days <= 3650:
            raise InvalidArgumentError("the recovery window is out of range", hint="give 0 to 3650 days")
        expected = inputs.expected(if_version)
        if version is None:
            return views.info(self._lifecycle.delete(name, recovery_days=recovery_days, if_version=expected))
        return views.info(self._lifecycle.disable(name, check_version(version), if_version=expected))

    def undelete(self, name: str, version: int | None = None) -> SecretInfo:
        """Take the deletion of a secret, or of one version, back. What is not deleted stays as it is."""
        check_name(name)
        if version is None:
            return views.info(self._lifecycle.undelete(name))
        return views.info(self._lifecycle.enable(name, check_version(version)))

    def destroy(self, name: str, versions: Iterable[int] | None = None, *, if_version: int | None = None) -> SecretInfo:
        """Erase a secret, or versions that are neither current nor pending, for good.

        Their numbers are never used again. What was interrupted is finished by the same call, and what is destroyed
        already is left alone. A deleted secret, and one with a pending rotation, is destroyed like any other. Of
        several versions all are checked before the first one is erased.
        """
        from dynastash.stash import inputs

        check_name(name)
        expected = inputs.expected(if_version)
        if versions is None:
            return views.info(self._lifecycle.destroy(name, if_version=expected, overdue=False))
        numbers = [check_version(version) for version in versions]
        return views.info(self._lifecycle.destroy_versions(name, numbers, if_version=expected))

    def purge(self, name: str) -> None:
        """Erase a deleted secret for good, if its recovery window is over.

        Decided on the authenticated head, at the moment of erasing: a secret that was undeleted since :meth:`overdue`
        listed it is a :class:`ConflictError`.
        """
        self._lifecycle.destroy(check_name(name), if_version=None, overdue=True)

    def prune(
        self, name: str, *, keep: int | None = None, older_than: timedelta | None = None, dry_run: bool = False
    ) -> Sequence[int]:
        """Erase old versions for good and return their numbers: all but the newest ``keep``, all ``older_than``.

        Both conditions hold where both are given. Stops before the first version that must stay: the newest, and those
        that are current, previous or pending. ``dry_run`` returns the numbers and erases nothing. Tombstones among the
        versions go too, and whatever an interrupted erasure has left below.
        """
        check_name(name)
        if keep is None and older_than is None:
            raise InvalidArgumentError("what to prune was not said", hint="give keep or older_than")
        if (keep is not None and keep < 1) or (older_than is not None and older_than.total_seconds() < 0):
            raise InvalidArgumentError("keep is below 1, or older_than below zero")
        before = None if older_than is None else self._clock.now() - int(older_than.total_seconds() * 1000)
        run = self._lifecycle.prunable if dry_run else self._lifecycle.prune
        return run(name, keep=keep, before_ms=before)

    def overdue(self, prefix: str = "") -> Sequence[SecretInfo]:
        """The deleted secrets whose recovery window is over, as the store lists them: what :meth:`purge` is for."""
        now = self._clock.now()
        return [
            info for info in self.list(prefix) if info.purge_at is not None and info.purge_at.timestamp() * 1000 <= now
        ]

    def advance(self, name: str, number: int) -> SecretInfo:
        """Never use the versions of ``name`` up to ``number`` again: after a restore, when readers have seen them.

        The current value stays; the numbers that the store does not know count as destroyed. A secret that is further
        already stays as it is.
        """
        from dynastash.stash.advancing import advance

        return views.info(advance(self._reader, self._changes, check_name(name), check_version(number)))

    def rewrap(self, name: str) -> Iterator[Rewrapped]:
        """Wrap the data keys of all versions of ``name`` anew, under the key that new versions get.

        Yields each version as it is done. No value is opened; with KMS the data keys never leave it. A version that is
        damaged does not keep the others from being done; its error is raised at the end.
        """
        from dynastash.stash.rewrapping import rewrap

        return rewrap(self._reader, self._changes, check_name(name), at_once=lambda: self._keys.concurrency)

    def rewrap_many(self, names: Iterable[str]) -> Iterator[RewrappedSecret]:
        """As :meth:`rewrap`, for many secrets, several at once; yields one result for each, in order.

        A secret that cannot be rewrapped, or not all of it, is there with its error. Failures of the store, and a key
        provider that refuses as a whole, are raised.
        """
        from dynastash.stash.rewrapping import rewrap_many

        return rewrap_many(self._reader, self._changes, [check_name(name) for name in names])

    def diff(self, name: str, one: int, other: int) -> Difference:
        """Open two versions and say in what they differ. No ``repr`` of the result shows a value."""
        return Difference(self.get(name, version=one), self.get(name, version=other))

    def verify(self, prefix: str = "", *, structure_only: bool = False) -> Iterator[Verified]:
        """Check every record of the secrets whose names start with ``prefix``; yields one result for each secret.

        Opens every version (one unwrap each), or nothing with ``structure_only``, for auditors without the key: then
        shapes and invariants are checked, and nothing is authenticated.
        """
        from dynastash.stash.verify import verify

        return verify(self._reader, prefix=check_prefix(prefix), structure_only=structure_only)

    # What only writes need is imported by those who write: most processes get one secret and go.

    @cached_property
    def _changes(self) -> Changes:
        from dynastash.stash.changes import Changes

        return Changes(self._reader, self._identity)

    @cached_property
    def _writer(self) -> Writer:
        from dynastash.stash.writer import Writer

        return Writer(self._reader, self._changes)

    @cached_property
    def _rotations(self) -> Rotations:
        from dynastash.stash.rotating import Rotations

        return Rotations(self._reader, self._writer)

    @cached_property
    def _lifecycle(self) -> Lifecycle:
        from dynastash.stash.lifecycle import Lifecycle

        return Lifecycle(self._reader, self._changes)

    def _put(
        self, name: str, new: NewVersion, *, if_version: int | None, write_only: bool = False, recreate: bool = False
    ) -> Version:
        from dynastash.stash import inputs

        if recreate:
            self._lifecycle.finish(check_name(name))
        return _written(
            self._writer.put(
                check_name(name),
                new,
                if_version=inputs.expected(if_version),
                write_only=write_only,
                recreate=recreate,
            )
        )


def _written(written: Written) -> Version:
    return views.version(written.metadata, written.head)

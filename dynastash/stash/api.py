"""The stash: every use case of one environment, for any store and any key provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from dynastash.clock import Clock, SystemClock
from dynastash.crypto import records
from dynastash.errors import (
    ConflictError,
    DynastashError,
    IntegrityError,
    InvalidArgumentError,
    PartialError,
    RotationError,
    SecretNotFoundError,
)
from dynastash.generate import Policy, generate
from dynastash.keys.base import KeyProvider
from dynastash.models import (
    Head,
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
from dynastash.stash import inputs, views
from dynastash.stash.changes import Changes
from dynastash.stash.highwater import HighWater
from dynastash.stash.reader import Opened, Reader
from dynastash.stash.rotation import GenerateRotator, Rotation, Rotator, policy_of, rotation_item, run_step
from dynastash.stash.writer import NewVersion, Writer, Written, require_no_pending, require_version
from dynastash.stores.base import RecordKey, Store


class Stash:
    """Versioned secrets of one environment.

    :func:`dynastash.connect` makes one. Safe to use from several threads. Every method raises
    :class:`~dynastash.errors.DynastashError` and nothing else, apart from programming mistakes.

    ``identity`` says who writes, for ``created_by``; it is asked once, at the first write.
    """

    def __init__(
        self,
        environment: str,
        store: Store,
        keys: KeyProvider,
        *,
        identity: Callable[[], str],
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._store = store
        self._keys = keys
        self._reader = Reader(check_environment(environment), store, keys, self._clock, HighWater())
        self._writer = Writer(self._reader, Changes(self._reader, identity))

    def __repr__(self) -> str:
        return f"<Stash {self.environment}: {self.where}>"

    @property
    def environment(self) -> str:
        """The environment's name."""
        return self._reader.environment

    @property
    def where(self) -> str:
        """Where the records are, in a few words, for messages."""
        return self._store.description

    @property
    def key(self) -> str:
        """The key-encryption key in a few words, for messages."""
        return self._keys.description

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
    ) -> Version:
        """Add ``value`` as the next version of ``name`` and make it current.

        ``if_version`` refuses unless that is the current version (0: unless there is no such secret). ``expires_at``
        is an aware datetime. ``tags`` label the secret and stay until they are given anew; ``context`` is bound to this
        version's key and public. At most 320 KiB. ``write_only`` is for callers who may not unwrap: the head is then
        not checked, and the secret's tags, rotation policy and deleted versions are forgotten.

        Raises :class:`ConflictError` where ``if_version`` does not hold or a rotation is pending,
        :class:`SecretDeletedError`, :class:`SecretDestroyedError`, :class:`ValueTooLargeError`.
        """
        new = inputs.new_version(self._clock.now(), value, comment, content_type, expires_at, tags, context)
        return self._put(name, new, if_version=if_version, write_only=write_only)

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
    ) -> Version:
        """As :meth:`put`, with a new random value by ``policy``, which the secret carries from then on."""
        new = inputs.new_version(self._clock.now(), generate(policy), comment, content_type, expires_at, tags, context)
        new = replace(new, rotation=rotation_item(policy))
        return self._put(name, new, if_version=if_version, write_only=write_only)

    def get(self, name: str, *, version: int | None = None, stage: Stage | str | None = None) -> Secret:
        """Open the current version of ``name``, or version ``version``, or the one at ``stage``.

        Raises :class:`SecretNotFoundError`, :class:`VersionNotFoundError`, :class:`SecretDeletedError`,
        :class:`SecretDestroyedError`, :class:`ExpiredError`; :class:`EnvelopeError` for a record that is not what
        dynastash wrote.
        """
        check_name(name)
        if version is not None and stage is not None:
            raise InvalidArgumentError("a version and a stage were asked for", hint="ask for one of them")
        if version is not None:
            opened = self._reader.version(name, check_version(version))
        elif stage is not None and (wanted := inputs.stage(stage)) is not Stage.CURRENT:
            opened = self._reader.staged(name, wanted)
        else:
            opened = self._reader.current(name)
        return views.secret(self._reader.usable(opened))

    def get_many(self, names: Iterable[str] | None = None, *, prefix: str | None = None) -> dict[str, Secret]:
        """Open the current versions of ``names``, or of every secret whose name starts with ``prefix``.

        All or nothing: where one cannot be had, :class:`PartialError` names every one that failed and nothing is
        returned. Under a prefix, deleted and destroyed secrets are left out, and a secret created within the last
        moments may be missing. The result is in the order of ``names``, or in that of the names' bytes.
        """
        if (names is None) == (prefix is None):
            raise InvalidArgumentError("give either names or a prefix", hint="a prefix of '' means all secrets")
        if names is not None:
            if isinstance(names, str):
                raise InvalidArgumentError("names is one name", hint="use get, or give a list")
            found = self._reader.many([check_name(name) for name in names])
        else:
            found = self._reader.with_prefix(check_prefix(prefix or ""))
        secrets: dict[str, Secret] = {}
        failures: dict[str, DynastashError] = {}
        for name, opened in found.items():
            try:
                if isinstance(opened, DynastashError):
                    raise opened
                if prefix is not None and opened.head.state is not State.ACTIVE:
                    continue
                secrets[name] = views.secret(self._reader.usable(opened))
            except DynastashError as error:
                failures[name] = error
        if failures:
            some = "; ".join(f"{name}: {error}" for name, error in list(failures.items())[:3])
            more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
            raise PartialError(
                f"{len(failures)} of {len(found)} secrets could not be had: {some}{more}",
                failures,
                hint="nothing was returned; mend or leave out what failed",
            )
        return secrets

    def list(self, prefix: str = "", *, verified: bool = False) -> Sequence[SecretInfo]:
        """The secrets whose names start with ``prefix``, in the order of their names' bytes.

        From the heads alone: deleted and destroyed secrets are there with their state, a change of the last moments
        may not be, and nothing is authenticated. ``verified`` reads each head and checks its seal (one unwrap a
        secret), and raises :class:`PartialError` where one fails.
        """
        heads: Sequence[Head] = [records.decode_head(item) for item in self._store.heads(check_prefix(prefix))]
        if any(not head.name.startswith(prefix) for head in heads):
            raise IntegrityError("the store listed a secret outside of the prefix asked for")
        if verified:
            heads = self._verified(heads)
        return [views.info(head) for head in heads]

    def history(self, name: str) -> Sequence[Version]:
        """Every version of ``name``, oldest first: who, when, why, and the stages. Opens and authenticates nothing."""
        key = RecordKey(check_name(name), records.HEAD)
        found = self._store.fetch([key])
        versions = [records.decode_metadata(item) for item in self._store.history(name)]
        if key not in found:
            if versions:
                raise IntegrityError(f"{name} has versions and no head", hint="restore the table from a backup")
            raise SecretNotFoundError(f"there is no secret {name}", hint="`dynastash list` shows the names")
        head = records.decode_head(found[key])
        if any(version.name != name for version in versions) or head.name != name:
            raise IntegrityError(f"the store answered with another secret's records than those of {name}")
        return [views.version(version, head) for version in versions]

    def rollback(
        self, name: str, version: int | None = None, *, comment: str | None = None, if_version: int | None = None
    ) -> Version:
        """Put the value of an earlier version (default: the previous one) again, as a new version.

        Content type and context come along; an expiry does not. Nothing is taken back: numbers only grow. Refuses
        where another writer comes between, or where ``if_version`` is not the current version.
        """
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
        current = self._reader.usable(self._reader.current(check_name(name)), expired=True)
        head = current.head
        require_version(name, head, if_version)
        require_no_pending(head)
        rotator = rotator or self._default_rotator(head, policy)
        rotation = Rotation(
            environment=self.environment, name=name, version=head.last + 1, current=views.secret(current)
        )
        value = run_step(rotation, "create", rotator.create)
        metadata = current.record.metadata
        new = inputs.new_version(
            self._clock.now(), value, comment, metadata.content_type, expires_at, None, metadata.context
        )
        if policy is not None:
            new = replace(new, rotation=rotation_item(policy))
        staged = self._writer.stage(name, new, if_version=metadata.number)
        pending = Secret(
            version=views.version(staged.metadata, staged.head), plaintext=new.value, tags=staged.head.tags
        )
        return self._finish(rotator, replace(rotation, version=staged.metadata.number, pending=pending))

    def resume(self, name: str, rotator: Rotator | None = None) -> Version:
        """Go on with a rotation that stopped: set, test and finish with the version that is pending."""
        check_name(name)
        pending = self._reader.usable(self._reader.staged(name, Stage.PENDING), expired=True)
        current = self._reader.open_beside(pending.snapshot, pending.sealing.metadata.number)
        rotator = rotator or self._default_rotator(pending.head, None)
        rotation = Rotation(
            environment=self.environment,
            name=name,
            version=pending.record.metadata.number,
            current=views.secret(current),
            pending=views.secret(pending),
        )
        return self._finish(rotator, rotation)

    def abort(self, name: str) -> Version:
        """End a rotation that stopped: the pending version loses its stage and is never used."""
        pending = self._reader.staged(check_name(name), Stage.PENDING)
        return _written(self._writer.abort(name, pending.record.metadata.number))

    def _finish(self, rotator: Rotator, rotation: Rotation) -> Version:
        run_step(rotation, "set", rotator.set)
        run_step(rotation, "test", rotator.test)
        return run_step(
            rotation,
            "finish",
            lambda _: _written(self._writer.promote(rotation.name, rotation.version)),
        )

    @staticmethod
    def _default_rotator(head: Head, policy: Policy | None) -> Rotator:
        policy = policy or policy_of(head)
        if policy is None:
            raise RotationError(
                f"{head.name} carries no policy to make a new value by",
                step="create",
                hint=f"give one, as in `dynastash rotate {head.name} --length 32`, or a program",
            )
        return GenerateRotator(policy)

    def _put(self, name: str, new: NewVersion, *, if_version: int | None, write_only: bool = False) -> Version:
        check_name(name)
        if if_version is not None and if_version != 0:
            check_version(if_version)
        return _written(self._writer.put(name, new, if_version=if_version, write_only=write_only))

    def _verified(self, listed: Sequence[Head]) -> Sequence[Head]:
        destroyed = [head for head in listed if head.state is State.DESTROYED]
        found = self._reader.many(head.name for head in listed if head.state is not State.DESTROYED)
        failures = {name: opened for name, opened in found.items() if isinstance(opened, DynastashError)}
        if failures:
            raise PartialError(
                f"{len(failures)} of {len(listed)} secrets fail verification: {', '.join(list(failures)[:3])}", failures
            )
        checked = [opened.head for opened in found.values() if isinstance(opened, Opened)]
        return sorted([*checked, *destroyed], key=lambda head: head.name)


def _written(written: Written) -> Version:
    return views.version(written.metadata, written.head)

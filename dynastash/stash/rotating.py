"""The four steps of a rotation, one after the other, and what is left to do when one of them fails."""

from __future__ import annotations

from datetime import datetime

from dynastash.errors import RotationError
from dynastash.frozen import replace
from dynastash.generate import Policy
from dynastash.models import Head, Secret, Stage
from dynastash.stash import inputs, views
from dynastash.stash.reader import Reader
from dynastash.stash.rotation import GenerateRotator, Rotation, Rotator, policy_of, rotation_item, run_step
from dynastash.stash.writer import Writer, Written, require_no_pending, require_version


class Rotations:
    """Runs, resumes and aborts rotations."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    def rotate(
        self,
        name: str,
        rotator: Rotator | None,
        policy: Policy | None,
        *,
        comment: str | None,
        expires_at: datetime | None,
        if_version: int | None,
    ) -> Written:
        """create → set → test → finish."""
        current = self._reader.usable(self._reader.current(name), expired=True)
        head = current.head
        require_version(name, head, if_version)
        require_no_pending(head)
        rotator = rotator or _default_rotator(head, policy)
        metadata = current.record.metadata
        # All but the value is checked before anybody is asked to make one.
        new = inputs.new_version(
            self._reader.clock.now(), b"", comment, metadata.content_type, expires_at, None, metadata.context
        )
        if policy is not None:
            new = replace(new, rotation=rotation_item(policy))
        rotation = Rotation(
            environment=self._reader.environment, name=name, version=head.last + 1, current=views.secret(current)
        )
        value = run_step(rotation, "create", lambda told: inputs.plaintext(rotator.create(told)))
        staged = self._writer.stage(name, replace(new, value=value), if_version=metadata.number)
        pending = Secret(version=views.version(staged.metadata, staged.head), plaintext=value, tags=staged.head.tags)
        return self._finish(rotator, replace(rotation, version=staged.metadata.number, pending=pending))

    def resume(self, name: str, rotator: Rotator) -> Written:
        """set → test → finish, with the version that is pending."""
        pending = self._reader.usable(self._reader.staged(name, Stage.PENDING))
        rotation = Rotation(
            environment=self._reader.environment,
            name=name,
            version=pending.record.metadata.number,
            current=views.secret(pending.sealed_under),
            pending=views.secret(pending),
        )
        return self._finish(rotator, rotation)

    def abort(self, name: str) -> Written:
        """Take the stage from the pending version."""
        return self._writer.abort(name, self._reader.pending(name))

    def _finish(self, rotator: Rotator, rotation: Rotation) -> Written:
        run_step(rotation, "set", rotator.set)
        run_step(rotation, "test", rotator.test)
        return run_step(rotation, "finish", lambda _: self._writer.promote(rotation.name, rotation.version))


def _default_rotator(head: Head, policy: Policy | None) -> Rotator:
    policy = policy or policy_of(head)
    if policy is None:
        raise RotationError(
            f"{head.name} carries no policy to make a new value by",
            step="create",
            hint=f"give one, as in `dynastash rotate {head.name} --length 32`, or a program",
        )
    return GenerateRotator(policy)

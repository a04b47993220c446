"""What callers are shown: the public models, from records and heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynastash.crypto import records
from dynastash.errors import DynastashError, PartialError
from dynastash.models import Head, Secret, SecretInfo, Version, from_ms, from_seconds
from dynastash.stash.reader import Opened


def secret(opened: Opened) -> Secret:
    """One opened version."""
    return Secret(
        version=version(opened.record.metadata, opened.head),
        plaintext=opened.record.plaintext,
        tags=opened.head.tags,
    )


def version(metadata: records.VersionMetadata, head: Head) -> Version:
    """One version's public part, with the stages that ``head`` gives it."""
    rewrapped, destroyed = metadata.rewrapped_ms, metadata.destroyed_ms
    return Version(
        name=metadata.name,
        number=metadata.number,
        created_at=from_ms(metadata.created_ms),
        created_by=metadata.created_by,
        stages=head.stages_of(metadata.number),
        comment=metadata.comment,
        content_type=metadata.content_type,
        expires_at=from_seconds(metadata.expires_at),
        context=metadata.context,
        key_id=metadata.key_id,
        rewrapped_at=None if rewrapped is None else from_ms(rewrapped),
        destroyed_at=None if destroyed is None else from_ms(destroyed),
        destroyed_by=metadata.destroyed_by,
        disabled=metadata.number in head.disabled,
    )


def info(head: Head) -> SecretInfo:
    """A secret as a listing shows it."""
    same: dict[str, Any] = {
        name: getattr(head, name)
        for name in ("name", "current", "last", "state", "updated_by", "pending", "previous", "comment", "tags")
    }
    return SecretInfo(
        **same,
        created_at=from_ms(head.created_ms),
        updated_at=from_ms(head.updated_ms),
        expires_at=from_seconds(head.expires_at),
        rotation=bool(head.rotation),
        deleted_at=from_seconds(head.deleted_at),
        purge_at=from_seconds(head.purge_at),
    )


def whole(found: Mapping[str, Secret | DynastashError | None]) -> dict[str, Secret]:
    """All of ``found``, without what is None, or :class:`PartialError` with each that is an error."""
    failures = {name: one for name, one in found.items() if isinstance(one, DynastashError)}
    if failures:
        raise partial(failures, len(found))
    return {name: one for name, one in found.items() if isinstance(one, Secret)}


def partial(failures: Mapping[str, DynastashError], wanted: int) -> PartialError:
    """The error for ``failures`` among ``wanted`` secrets, of which none is returned."""
    some = "; ".join(f"{name}: {error}" for name, error in list(failures.items())[:3])
    more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
    return PartialError(
        f"{len(failures)} of {wanted} secrets could not be had: {some}{more}",
        failures,
        hint="nothing was returned; mend or leave out what failed",
    )

"""References, answered from what is kept as far as it goes."""

from __future__ import annotations

from collections.abc import Sequence

from dynastash.cache.asking import Asking, Batch, outcomes, single
from dynastash.cache.engine import Engine
from dynastash.cache.entries import Key
from dynastash.errors import DynastashError, StoreError
from dynastash.models import Secret, Stage
from dynastash.references import Reference
from dynastash.stash.resolving import advised, refuse_part, select


def resolved(engine: Engine, references: Sequence[Reference], read: Batch) -> Asking[dict[Reference, Secret]]:
    """As :meth:`Stash.resolve`: ``read`` gets the current versions that are missing, others are read one by one."""
    wanted = list(dict.fromkeys(references))
    keys = {reference: _key(reference) for reference in wanted}
    current = yield from outcomes(engine, [key.name for key in keys.values() if key == Key(key.name)], read)
    found: dict[Key, Secret | DynastashError] = {Key(name): outcome for name, outcome in current.items()}
    for key in keys.values():
        if key not in found:
            try:
                found[key] = yield from single(engine, key)
            except DynastashError as error:
                found[key] = error
    secrets: dict[Reference, Secret] = {}
    failures: dict[str, DynastashError] = {}
    for reference, key in keys.items():
        outcome = found[key]
        try:
            if isinstance(outcome, DynastashError):
                raise outcome
            secrets[reference] = select(outcome, reference.field)
        except StoreError:  # the store itself failed, and would again
            raise
        except DynastashError as error:
            failures[str(reference)] = advised(reference, error)
    refuse_part(failures, len(wanted))
    return secrets


def _key(reference: Reference) -> Key:
    stage = None if reference.version is not None or reference.stage is Stage.CURRENT else reference.stage
    return Key(reference.name, version=reference.version, stage=stage)

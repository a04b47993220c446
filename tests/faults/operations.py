"""Every operation of the stash as the fault matrix runs it: the call, and what of its result can be compared."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dynastash.generate import Password
from dynastash.models import Secret, Version
from dynastash.rotation.generate import GenerateRotator
from dynastash.stash.api import Stash
from dynastash.transfer.sealed import check_sealed, export_sealed, import_sealed
from tests.faults.site import ENVIRONMENT, POLICY, Site
from tests.unit.source_kit import history, moved


@dataclass(frozen=True)
class Operation:
    """``run`` gives something that is the same each time. ``kinds`` are the requests that it makes, by the API's names.

    ``empty``: begins with an empty table. ``moto``: needs ReEncrypt, which only moto has.
    """

    run: Callable[[Stash, Site], object]
    kinds: str
    empty: bool = False
    moto: bool = False

    @property
    def requests(self) -> frozenset[str]:
        """The ``kinds`` one by one."""
        return frozenset(self.kinds.split())


def _version(version: Version) -> object:
    return version.name, version.number, sorted(version.stages), version.comment, dict(version.context)


def _secret(secret: Secret) -> object:
    return secret.version.name, secret.version.number, secret.value


def _export(stash: Stash, site: Site) -> object:
    file = io.BytesIO()
    counts = export_sealed(stash.store, stash.environment, file, at=1, clock=stash._clock)
    file.seek(0)
    assert check_sealed(file, ENVIRONMENT) == counts
    header, *records, _ = file.getvalue().splitlines()
    return header, sorted(records)


def _import(stash: Stash, site: Site) -> object:
    *_, last = import_sealed(stash.store, ENVIRONMENT, io.BytesIO(site.backup))
    return last


def _migrate(stash: Stash, site: Site) -> object:
    """What is here already, and two versions more."""
    source = [history("app/other", *(f"other {number}" for number in range(1, 5)))]
    (done,) = moved(source, stash)
    if done.error is not None:
        raise done.error
    return done.planned.present, done.written, done.compared, done.planned.reason


OPERATIONS: Mapping[str, Operation] = {
    "put": Operation(
        lambda stash, _: _version(stash.put("app/other", "new", comment="why")),
        "Decrypt GenerateDataKey Query TransactWriteItems",
    ),
    "put if version": Operation(
        lambda stash, _: _version(stash.put("app/other", "new", if_version=2)),
        "Decrypt GenerateDataKey Query TransactWriteItems",
    ),
    "put the first": Operation(
        lambda stash, _: _version(stash.put("new/one", "new", if_version=0)),
        "GenerateDataKey Query TransactWriteItems",
    ),
    "put write-only": Operation(
        lambda stash, _: _version(stash.put("app/other", "new", write_only=True)),
        "GenerateDataKey Query TransactWriteItems",
    ),
    "recreate": Operation(
        lambda stash, _: _version(stash.put("gone/destroyed", "new", recreate=True)),
        "BatchGetItem GenerateDataKey Query TransactWriteItems",
    ),
    "get": Operation(lambda stash, _: _secret(stash.get("app/multi")), "Decrypt Query"),
    "get version": Operation(
        lambda stash, _: _secret(stash.get("app/multi", version=3)),
        "BatchGetItem Decrypt Query",
    ),
    "get previous": Operation(
        lambda stash, _: _secret(stash.get("app/multi", stage="previous")),
        "BatchGetItem Decrypt Query",
    ),
    "get many": Operation(
        lambda stash, _: [
            _secret(secret) for secret in stash.get_many(["app/other", "app/multi", "rot/pending"]).values()
        ],
        "BatchGetItem Decrypt",
    ),
    "get many by prefix": Operation(
        lambda stash, _: [_secret(secret) for secret in stash.get_many(prefix="app/").values()],
        "BatchGetItem Decrypt Query",
    ),
    "list": Operation(lambda stash, _: [(info.name, info.state) for info in stash.list()], "Scan"),
    "list by prefix": Operation(lambda stash, _: [info.name for info in stash.list("app/")], "Query"),
    "list verified": Operation(
        lambda stash, _: [(info.name, info.state) for info in stash.list(verified=True)],
        "BatchGetItem Decrypt Scan",
    ),
    "history": Operation(
        lambda stash, _: [_version(version) for version in stash.history("app/multi")],
        "BatchGetItem Query",
    ),
    "generate": Operation(
        lambda stash, _: _version(stash.generate("app/other", POLICY)),
        "Decrypt GenerateDataKey Query TransactWriteItems",
    ),
    "rotate": Operation(
        lambda stash, _: _version(stash.rotate("app/multi")),
        "BatchGetItem Decrypt GenerateDataKey Query TransactWriteItems",
    ),
    "resume": Operation(
        lambda stash, _: _version(stash.resume("rot/pending", GenerateRotator(Password()))),
        "BatchGetItem Decrypt Query TransactWriteItems",
    ),
    "abort": Operation(
        lambda stash, _: _version(stash.abort("rot/pending")),
        "BatchGetItem Decrypt Query TransactWriteItems",
    ),
    "rollback": Operation(
        lambda stash, _: _version(stash.rollback("app/multi")),
        "BatchGetItem Decrypt GenerateDataKey Query TransactWriteItems",
    ),
    "delete": Operation(lambda stash, _: stash.delete("app/multi").state, "Decrypt Query TransactWriteItems"),
    "delete version": Operation(
        lambda stash, _: stash.delete("app/multi", 3).last,
        "Decrypt Query TransactWriteItems",
    ),
    "undelete": Operation(
        lambda stash, _: stash.undelete("gone/deleted").state,
        "Decrypt Query TransactWriteItems",
    ),
    "undelete version": Operation(
        lambda stash, _: stash.undelete("app/multi", 2).last,
        "Decrypt Query TransactWriteItems",
    ),
    "destroy": Operation(
        lambda stash, _: stash.destroy("app/multi").state,
        "BatchGetItem Decrypt Query TransactWriteItems",
    ),
    "destroy versions": Operation(
        lambda stash, _: stash.destroy("app/multi", [1, 2, 3]).last,
        "BatchGetItem Decrypt Query TransactWriteItems",
    ),
    "prune": Operation(
        lambda stash, _: stash.prune("app/multi", keep=1), "BatchGetItem Decrypt Query TransactWriteItems"
    ),
    "prune dry run": Operation(
        lambda stash, _: stash.prune("app/multi", keep=2, dry_run=True),
        "Decrypt Query",
    ),
    "verify": Operation(
        lambda stash, _: sorted(
            (checked.name, checked.versions, checked.tombstones, checked.findings) for checked in stash.verify()
        ),
        "Decrypt Scan",
    ),
    "verify structure": Operation(
        lambda stash, _: sorted(
            (checked.name, checked.versions, checked.findings) for checked in stash.verify(structure_only=True)
        ),
        "Scan",
    ),
    "rewrap": Operation(
        lambda stash, _: [(done.name, done.number) for done in stash.rewrap("app/multi")],
        "BatchGetItem Decrypt Query ReEncrypt UpdateItem",
        moto=True,
    ),
    "export sealed": Operation(_export, "Scan"),
    "migrate": Operation(_migrate, "BatchGetItem Decrypt GenerateDataKey Query Scan TransactWriteItems"),
    "import sealed": Operation(_import, "BatchGetItem Query TransactWriteItems", empty=True),
}

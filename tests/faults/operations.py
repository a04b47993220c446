"""Every operation of the stash as the fault matrix runs it: the call, and what of its result can be compared."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dynastash.models import Secret, Version
from dynastash.stash.api import Stash
from dynastash.transfer.sealed import check_sealed, export_sealed, import_sealed
from tests.faults.site import ENVIRONMENT, POLICY, Site


@dataclass(frozen=True)
class Operation:
    """``run`` gives something that is the same each time. ``requests`` are how many it makes, by the API's names.

    ``empty``: begins with an empty table. ``moto``: needs ReEncrypt, which only moto has.
    """

    run: Callable[[Stash, Site], object]
    requests: Mapping[str, int]
    empty: bool = False
    moto: bool = False


def _version(version: Version) -> object:
    return version.name, version.number, sorted(version.stages), version.comment, dict(version.context)


def _secret(secret: Secret) -> object:
    return secret.version.name, secret.version.number, secret.value


def _export(stash: Stash, site: Site) -> object:
    file = io.BytesIO()
    counts = export_sealed(stash.store, stash.environment, file, at=1)
    file.seek(0)
    assert check_sealed(file, ENVIRONMENT) == counts
    header, *records, _ = file.getvalue().splitlines()
    return header, sorted(records)


def _import(stash: Stash, site: Site) -> object:
    *_, last = import_sealed(stash.store, ENVIRONMENT, io.BytesIO(site.backup))
    return last


OPERATIONS: Mapping[str, Operation] = {
    "put": Operation(
        lambda stash, _: _version(stash.put("app/other", "new", comment="why")),
        {"Query": 1, "Decrypt": 1, "GenerateDataKey": 1, "TransactWriteItems": 1},
    ),
    "put if version": Operation(
        lambda stash, _: _version(stash.put("app/other", "new", if_version=2)),
        {"Query": 1, "GenerateDataKey": 1, "Decrypt": 1, "TransactWriteItems": 1},
    ),
    "put the first": Operation(
        lambda stash, _: _version(stash.put("new/one", "new", if_version=0)),
        {"Query": 1, "GenerateDataKey": 1, "TransactWriteItems": 1},
    ),
    "put write-only": Operation(
        lambda stash, _: _version(stash.put("app/other", "new", write_only=True)),
        {"Query": 1, "GenerateDataKey": 1, "TransactWriteItems": 1},
    ),
    "recreate": Operation(
        lambda stash, _: _version(stash.put("gone/destroyed", "new", recreate=True)),
        {"Query": 1, "GenerateDataKey": 1, "TransactWriteItems": 1},
    ),
    "get": Operation(lambda stash, _: _secret(stash.get("app/multi")), {"Query": 1, "Decrypt": 1}),
    "get version": Operation(
        lambda stash, _: _secret(stash.get("app/multi", version=3)),
        {"Query": 1, "BatchGetItem": 1, "Decrypt": 2},
    ),
    "get previous": Operation(
        lambda stash, _: _secret(stash.get("app/multi", stage="previous")),
        {"Query": 1, "BatchGetItem": 1, "Decrypt": 2},
    ),
    "get many": Operation(
        lambda stash, _: [
            _secret(secret) for secret in stash.get_many(["app/other", "app/multi", "rot/pending"]).values()
        ],
        {"BatchGetItem": 2, "Decrypt": 3},
    ),
    "get many by prefix": Operation(
        lambda stash, _: [_secret(secret) for secret in stash.get_many(prefix="app/").values()],
        {"Query": 1, "BatchGetItem": 1, "Decrypt": 2},
    ),
    "list": Operation(lambda stash, _: [(info.name, info.state) for info in stash.list()], {"Scan": 1}),
    "list by prefix": Operation(lambda stash, _: [info.name for info in stash.list("app/")], {"Query": 1}),
    "list verified": Operation(
        lambda stash, _: [(info.name, info.state) for info in stash.list(verified=True)],
        {"Scan": 1, "BatchGetItem": 2, "Decrypt": 4},
    ),
    "history": Operation(
        lambda stash, _: [_version(version) for version in stash.history("app/multi")],
        {"BatchGetItem": 1, "Query": 1},
    ),
    "generate": Operation(
        lambda stash, _: _version(stash.generate("app/other", POLICY)),
        {"Query": 1, "Decrypt": 1, "GenerateDataKey": 1, "TransactWriteItems": 1},
    ),
    "rotate": Operation(
        lambda stash, _: _version(stash.rotate("app/multi")),
        {"Query": 3, "Decrypt": 4, "GenerateDataKey": 1, "TransactWriteItems": 2, "BatchGetItem": 1},
    ),
    "resume": Operation(
        lambda stash, _: _version(stash.resume("rot/pending")),
        {"Query": 2, "BatchGetItem": 2, "Decrypt": 4, "TransactWriteItems": 1},
    ),
    "abort": Operation(
        lambda stash, _: _version(stash.abort("rot/pending")),
        {"Query": 2, "BatchGetItem": 2, "Decrypt": 2, "TransactWriteItems": 1},
    ),
    "rollback": Operation(
        lambda stash, _: _version(stash.rollback("app/multi")),
        {"Query": 2, "BatchGetItem": 1, "Decrypt": 3, "GenerateDataKey": 1, "TransactWriteItems": 1},
    ),
    "delete": Operation(
        lambda stash, _: stash.delete("app/multi").state, {"Query": 1, "Decrypt": 1, "TransactWriteItems": 1}
    ),
    "delete version": Operation(
        lambda stash, _: stash.delete("app/multi", 3).last,
        {"Query": 1, "Decrypt": 1, "TransactWriteItems": 1},
    ),
    "undelete": Operation(
        lambda stash, _: stash.undelete("gone/deleted").state,
        {"Query": 1, "Decrypt": 1, "TransactWriteItems": 1},
    ),
    "undelete version": Operation(
        lambda stash, _: stash.undelete("app/multi", 2).last,
        {"Query": 1, "Decrypt": 1, "TransactWriteItems": 1},
    ),
    "destroy": Operation(
        lambda stash, _: stash.destroy("app/multi"),
        {"Query": 7, "Decrypt": 1, "TransactWriteItems": 3, "BatchGetItem": 3},
    ),
    "destroy versions": Operation(
        lambda stash, _: stash.destroy("app/multi", [1, 2, 3]),
        {"Query": 2, "Decrypt": 2, "BatchGetItem": 2, "TransactWriteItems": 2},
    ),
    "prune": Operation(
        lambda stash, _: stash.prune("app/multi", keep=1), {"Query": 6, "Decrypt": 3, "TransactWriteItems": 2}
    ),
    "prune dry run": Operation(
        lambda stash, _: stash.prune("app/multi", keep=2, dry_run=True),
        {"Query": 2, "Decrypt": 1},
    ),
    "verify": Operation(
        lambda stash, _: sorted(
            (checked.name, checked.versions, checked.tombstones, checked.findings) for checked in stash.verify()
        ),
        {"Scan": 1, "Decrypt": 10},
    ),
    "verify structure": Operation(
        lambda stash, _: sorted(
            (checked.name, checked.versions, checked.findings) for checked in stash.verify(structure_only=True)
        ),
        {"Scan": 1},
    ),
    "rewrap": Operation(
        lambda stash, _: [(done.name, done.number) for done in stash.rewrap("app/multi")],
        {"Query": 2, "Decrypt": 1, "BatchGetItem": 5, "ReEncrypt": 5, "UpdateItem": 5},
        moto=True,
    ),
    "export sealed": Operation(_export, {"Scan": 1}),
    "import sealed": Operation(_import, {"Query": 5, "BatchGetItem": 5, "TransactWriteItems": 7}, empty=True),
}

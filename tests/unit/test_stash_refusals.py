"""What a refusal says: what happened, to which secret, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dynastash.errors import (
    ConflictError,
    DynastashError,
    ExpiredError,
    FieldNotFoundError,
    FormatError,
    IntegrityError,
    InvalidArgumentError,
    PartialError,
    RollbackError,
    RotationError,
    SecretDeletedError,
    SecretDestroyedError,
    SecretNotFoundError,
    UnsupportedFormatError,
    ValueTooLargeError,
    VersionNotFoundError,
)
from dynastash.generate import RandomBytes
from dynastash.models import Head, Item, Plaintext, Stage, State, WrappedKey, from_ms
from dynastash.stash import reader
from dynastash.stash.api import Stash
from dynastash.stash.rotation import GenerateRotator, Rotation
from dynastash.stores.base import Change, RecordKey
from tests.unit.stash_kit import HEAD, Between, World, v
from tests.unit.test_stash_basics import forge_newest

Do = Callable[[World], object]
POLICY = RandomBytes(16)
HISTORY = "`dynastash history n` shows what it has"
LIST = "`dynastash list` shows the names; is it another environment's?"
TAMPERED = "the table was tampered with or damaged: compare it with a backup, and run `dynastash verify`"
APART = "the table was tampered with or restored in part: compare it with a backup"
ROLLED_BACK = "the table was rolled back or tampered with: compare it with a backup and the audit log"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three versions."""
    world = World(tmp_path)
    for number in range(1, 4):
        world.stash.put("n", f"value {number}")
        world.clock.advance(1)
    return world


class Stopping(GenerateRotator):
    """Leaves its version pending."""

    def set(self, rotation: Rotation) -> None:
        raise RotationError("stopped", step="set")


class Refusing(GenerateRotator):
    """Makes no value."""

    def create(self, rotation: Rotation) -> Plaintext:
        raise RotationError("no", step="create")


def stop(world: World, **options: Any) -> None:
    """A rotation that gets no further than its pending version, which is the fourth."""
    with pytest.raises(RotationError):
        world.fresh().rotate("n", Stopping(POLICY), **options)


def expired(world: World) -> None:
    """The fourth version, three seconds later."""
    world.fresh().put("n", "x", expires_at=from_ms(world.clock.now()) + timedelta(seconds=2))
    world.clock.advance(3)


def expired_pending(world: World) -> None:
    """The same in the middle of a rotation."""
    stop(world, expires_at=from_ms(world.clock.now()) + timedelta(seconds=2))
    world.clock.advance(3)


def put_back(world: World) -> None:
    """The whole secret, as it was before its third version."""
    world.stash.get("n")
    head = world.item("n", HEAD)
    world.write(head | {"last": {"N": "2"}, "current": {"N": "2"}, "previous": {"N": "1"}})
    world.drop("n", v(3))


def gone(world: World) -> None:
    """The whole secret."""
    world.drop("n", v(3))
    world.drop("n", v(2))
    world.drop("n", v(1))
    world.sql("DELETE FROM heads WHERE name = 'n'")
    world.drop("n", HEAD)


def raised(found: Mapping[Any, object]) -> None:
    """The error that is there in the place of a version."""
    for error in found.values():
        assert isinstance(error, DynastashError)
        raise error


def raised_of(call: Callable[[Any], object], names: Sequence[str]) -> None:
    """The one error that there is for many secrets."""
    with pytest.raises(PartialError) as caught:
        call(names)
    (error,) = caught.value.failures.values()
    raise error


def nothing(world: World) -> None:
    """As it is."""


REFUSALS: dict[str, tuple[Do, Callable[[Stash], object], type[DynastashError], str, str | None]] = {
    "get, no secret": (
        nothing, lambda stash: stash.get("m"), SecretNotFoundError, "there is no secret m", LIST,
    ),
    "get, deleted": (
        lambda world: world.stash.delete("n"),
        lambda stash: stash.get("n"),
        SecretDeletedError,
        "n is deleted",
        "`dynastash undelete n` takes it back",
    ),
    "get, deleted version": (
        lambda world: world.stash.delete("n", 1),
        lambda stash: stash.get("n", version=1),
        SecretDeletedError,
        "version 1 of n is deleted",
        "`dynastash undelete n --version 1` takes it back",
    ),
    "get, destroyed": (
        lambda world: world.stash.destroy("n"),
        lambda stash: stash.get("n"),
        SecretDestroyedError,
        "n is marked as destroyed",
        "`dynastash put n --recreate` begins anew; if nobody did it, run `dynastash verify`",
    ),
    "get, expired": (
        expired,
        lambda stash: stash.get("n"),
        ExpiredError,
        "version 4 of n expired on 2026-01-01 00:00 UTC",
        "put or rotate n",
    ),
    "resume, expired": (
        expired_pending,
        lambda stash: stash.resume("n", GenerateRotator(POLICY)),
        ExpiredError,
        "version 4 of n expired on 2026-01-01 00:00 UTC",
        "end its rotation with `dynastash rotate n --abort`, then rotate again",
    ),
    "get, beyond": (
        nothing,
        lambda stash: stash.get("n", version=4),
        VersionNotFoundError,
        "n has no version 4",
        "the newest is version 3",
    ),
    "get, missing version": (
        lambda world: world.drop("n", v(1)),
        lambda stash: stash.get("n", version=1),
        IntegrityError,
        "the records of n do not fit together: one is missing, or the head was changed",
        APART,
    ),
    "get, destroyed version": (
        lambda world: world.stash.destroy("n", [1]),
        lambda stash: stash.get("n", version=1),
        VersionNotFoundError,
        "version 1 of n was destroyed",
        "`dynastash history n` shows what is left",
    ),
    "get, no such stage": (
        nothing,
        lambda stash: stash.get("n", stage="pending"),
        VersionNotFoundError,
        "n has no pending version: version 3 is current",
        HISTORY,
    ),
    "get, malformed head": (
        lambda world: world.edit("n", HEAD, seal=None),
        lambda stash: stash.get("n"),
        FormatError,
        "the head of n: the head has no seal, or no version to check it with",
        TAMPERED,
    ),
    "get, malformed version": (
        lambda world: world.edit("n", v(3), mac=None),
        lambda stash: stash.get("n"),
        FormatError,
        "version 3 of n: the record has no mac",
        TAMPERED,
    ),
    "get, forged version": (
        lambda world: world.edit("n", v(3), comment={"S": "forged"}),
        lambda stash: stash.get("n"),
        IntegrityError,
        "version 3 of n: the record fails authentication",
        TAMPERED,
    ),
    "get, forged head": (
        lambda world: world.edit("n", HEAD, comment={"S": "forged"}),
        lambda stash: stash.get("n"),
        IntegrityError,
        "the head of n: the seal fails authentication",
        TAMPERED,
    ),
    "many, of an earlier state": (
        put_back,
        lambda stash: stash.get_many(["n", "m"]),
        PartialError,
        "2 of 2 secrets could not be had: n: the head of n: the seal fails authentication; m: there is no secret m",
        "nothing was returned; mend or leave out what failed",
    ),
    "many, under a prefix": (
        lambda world: [world.stash.put(name, "x", expires_at=from_ms(world.clock.now() + 2000)) for name in "abcde"]
        and world.clock.advance(3),
        lambda stash: stash.get_many(prefix=""),
        PartialError,
        "5 of 6 secrets could not be had: a: version 1 of a expired on 2026-01-01 00:00 UTC; "
        "b: version 1 of b expired on 2026-01-01 00:00 UTC; c: version 1 of c expired on 2026-01-01 00:00 UTC; "
        "and 2 more",
        "nothing was returned; mend or leave out what failed",
    ),
    "many, three": (
        nothing,
        lambda stash: stash.get_many(["n", "a", "b", "c"]),
        PartialError,
        "3 of 4 secrets could not be had: a: there is no secret a; b: there is no secret b; c: there is no secret c",
        "nothing was returned; mend or leave out what failed",
    ),
    "many, four": (
        nothing,
        lambda stash: stash.get_many(["a", "b", "c", "d"]),
        PartialError,
        "4 of 4 secrets could not be had: a: there is no secret a; b: there is no secret b; c: there is no secret c; "
        "and 1 more",
        "nothing was returned; mend or leave out what failed",
    ),
    "many, neither names nor a prefix": (
        nothing,
        lambda stash: stash.get_many(),
        InvalidArgumentError,
        "give either names or a prefix",
        "a prefix of '' means all secrets",
    ),
    "many, one name": (
        nothing,
        lambda stash: stash.get_many("n"),
        InvalidArgumentError,
        "names is one name",
        "use get, or give a list",
    ),
    "resolve, one text": (
        nothing,
        lambda stash: stash.resolve("n"),
        InvalidArgumentError,
        "references is one text",
        "give a list",
    ),
    "resolve, a name that ends like a version": (
        nothing,
        lambda stash: stash.resolve(["m@2#x"]),
        SecretNotFoundError,
        "there is no secret m",
        "a secret of the name m@2 is written m@2@current",
    ),
    "resolve, no field": (
        nothing,
        lambda stash: stash.resolve(["n#x"]),
        FieldNotFoundError,
        "the value of version 3 of n is not JSON and has no fields",
        "leave out # and the field",
    ),
    "get, version and stage": (
        nothing,
        lambda stash: stash.get("n", version=1, stage="current"),
        InvalidArgumentError,
        "a version and a stage were asked for",
        "ask for one of them",
    ),
    "get, less than expected": (
        nothing,
        lambda stash: stash.get("n", min_version=4),
        RollbackError,
        "n is at version 3, and version 4 at least was expected",
        ROLLED_BACK,
    ),
    "locate, missing": (
        lambda world: world.drop("n", v(2)),
        lambda stash: raised(stash.locate(["n@2"])),
        IntegrityError,
        "version 2 of n is missing",
        "if it was not destroyed at this moment, compare the table with a backup: `dynastash verify`",
    ),
    "put, no time zone": (
        nothing,
        lambda stash: stash.put("n", "x", expires_at=datetime(2999, 1, 1)),
        InvalidArgumentError,
        "the expiry has no time zone",
        "give an aware datetime, as in UTC",
    ),
    "put, past": (
        nothing,
        lambda stash: stash.put("n", "x", expires_at=datetime(1999, 1, 1, tzinfo=UTC)),
        InvalidArgumentError,
        "the expiry is in the past",
        "give a time to come",
    ),
    "put, too far": (
        nothing,
        lambda stash: stash.put("n", "x", expires_at=datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))),
        InvalidArgumentError,
        "the expiry is too far away",
        "give a time before the year 10000 in UTC",
    ),
    "put, a number": (
        nothing,
        lambda stash: stash.put("n", 7),  # type: ignore[arg-type]
        InvalidArgumentError,
        "the value is neither text nor bytes",
        None,
    ),
    "put, too large": (
        nothing,
        lambda stash: stash.put("n", bytes(327_681)),
        ValueTooLargeError,
        "the value is too large",
        "at most 327680 bytes (320 KiB) fit into one version",
    ),
    "put, not UTF-8": (
        nothing,
        lambda stash: stash.put("n", "\ud800"),
        InvalidArgumentError,
        "the value is not valid unicode text",
        None,
    ),
    "put, long comment": (
        nothing,
        lambda stash: stash.put("n", "x", comment="x" * 1025),
        ValueTooLargeError,
        "the comment is too long",
        "at most 1024 bytes",
    ),
    "put, long content type": (
        nothing,
        lambda stash: stash.put("n", "x", content_type="x" * 257),
        ValueTooLargeError,
        "the content type is too long",
        "at most 256 bytes",
    ),
    "put, comment not UTF-8": (
        nothing,
        lambda stash: stash.put("n", "x", comment="\ud800"),
        InvalidArgumentError,
        "the comment is not valid unicode text",
        None,
    ),
    "put, a tag of a number": (
        nothing,
        lambda stash: stash.put("n", "x", tags={"k": 7}),  # type: ignore[dict-item]
        InvalidArgumentError,
        "tags has a pair that is not text",
        None,
    ),
    "put, an empty context": (
        nothing,
        lambda stash: stash.put("n", "x", context={"k": ""}),
        InvalidArgumentError,
        "context has a pair with an empty side",
        "write KEY=TEXT",
    ),
    "list, another release's head": (
        lambda world: world.edit("n", HEAD, format={"N": "2"}),
        lambda stash: stash.list(),
        UnsupportedFormatError,
        "the head of n: the record is of format 2, which this release does not know",
        "upgrade dynastash",
    ),
    "list, malformed head": (
        lambda world: world.edit("n", HEAD, seal=None),
        lambda stash: stash.list(),
        FormatError,
        "the head of n is malformed: the head has no seal, or no version to check it with",
        "restore it from a backup: `dynastash verify` shows everything that is wrong, and a prefix of other names "
        "lists those",
    ),
    "list, forged heads": (
        lambda world: [
            world.stash.put(name, "x") and world.edit(name, HEAD, comment={"S": "forged"}) for name in "abcd"
        ],
        lambda stash: stash.list(verified=True),
        PartialError,
        "4 of 5 secrets fail verification: a, b, c …",
        None,
    ),
    "list, three forged heads": (
        lambda world: [
            world.stash.put(name, "x") and world.edit(name, HEAD, comment={"S": "forged"}) for name in "abc"
        ],
        lambda stash: stash.list(verified=True),
        PartialError,
        "3 of 4 secrets fail verification: a, b, c",
        None,
    ),
    "history, no secret": (
        nothing, lambda stash: stash.history("m"), SecretNotFoundError, "there is no secret m", LIST,
    ),
    "delete, no secret": (
        nothing, lambda stash: stash.delete("m"), SecretNotFoundError, "there is no secret m", LIST,
    ),
    "delete, another version": (
        nothing,
        lambda stash: stash.delete("n", if_version=2),
        ConflictError,
        "n is at version 3, and version 2 was expected",
        "look at `dynastash history n` and decide",
    ),
    "delete, a version of another version": (
        nothing,
        lambda stash: stash.delete("n", 1, if_version=2),
        ConflictError,
        "n is at version 3, and version 2 was expected",
        "look at `dynastash history n` and decide",
    ),
    "delete, the current version": (
        nothing,
        lambda stash: stash.delete("n", 3),
        ConflictError,
        "version 3 of n is current",
        "put, roll back or finish the rotation first, or take the whole secret",
    ),
    "delete, the pending version": (
        stop,
        lambda stash: stash.delete("n", 4),
        ConflictError,
        "version 4 of n is pending",
        "put, roll back or finish the rotation first, or take the whole secret",
    ),
    "delete, no such version": (
        nothing,
        lambda stash: stash.delete("n", 4),
        VersionNotFoundError,
        "n has no version 4",
        "`dynastash history n` shows which it has",
    ),
    "delete, a long window": (
        nothing,
        lambda stash: stash.delete("n", recovery_days=3651),
        InvalidArgumentError,
        "the recovery window is out of range",
        "give 0 to 3650 days",
    ),
    "delete, no room": (
        lambda world: forge_newest(world, "m", 600, pruned_below=1, disabled=frozenset(range(1, 513))),
        lambda stash: stash.delete("m", 513),
        ConflictError,
        "m has too many deleted versions",
        "run `dynastash prune m`",
    ),
    "destroy, no room": (
        lambda world: forge_newest(world, "m", 600, pruned_below=1, destroyed=frozenset(range(1, 513))),
        lambda stash: stash.destroy("m", [513]),
        ConflictError,
        "m has too many destroyed versions for its head",
        "run `dynastash prune m` first",
    ),
    "destroy, no room for the oldest": (
        lambda world: forge_newest(world, "m", 600, pruned_below=1, destroyed=frozenset(range(2, 514))),
        lambda stash: stash.destroy("m", [1]),
        ConflictError,
        "m has too many destroyed versions for its head",
        "run `dynastash prune m` first",
    ),
    "destroy, just room": (
        lambda world: forge_newest(world, "m", 600, pruned_below=1, destroyed=frozenset(range(1, 512))),
        lambda stash: stash.destroy("m", [512]),
        VersionNotFoundError,
        "version 512 of m is missing from the store",
        "run `dynastash verify`",
    ),
    "undelete, no such version": (
        nothing,
        lambda stash: stash.undelete("n", 4),
        VersionNotFoundError,
        "n has no version 4",
        "`dynastash history n` shows which it has",
    ),
    "destroy, no version": (
        nothing,
        lambda stash: stash.destroy("n", []),
        InvalidArgumentError,
        "no version was named",
        "name the versions to destroy",
    ),
    "destroy, the current version": (
        nothing,
        lambda stash: stash.destroy("n", [1, 3]),
        ConflictError,
        "version 3 of n is current",
        "put, roll back or finish the rotation first, or take the whole secret",
    ),
    "destroy, no such version": (
        nothing,
        lambda stash: stash.destroy("n", [1, 4]),
        VersionNotFoundError,
        "n has no version 4",
        "`dynastash history n` shows which it has",
    ),
    "destroy, another version": (
        nothing,
        lambda stash: stash.destroy("n", if_version=2),
        ConflictError,
        "n is at version 3, and version 2 was expected",
        "look at `dynastash history n` and decide",
    ),
    "destroy, versions of another version": (
        nothing,
        lambda stash: stash.destroy("n", [1], if_version=2),
        ConflictError,
        "n is at version 3, and version 2 was expected",
        "look at `dynastash history n` and decide",
    ),
    "destroy, a missing version": (
        lambda world: world.drop("n", v(1)),
        lambda stash: stash.destroy("n", [1]),
        VersionNotFoundError,
        "version 1 of n is missing from the store",
        "run `dynastash verify`",
    ),
    "purge, active": (
        nothing,
        lambda stash: stash.purge("n"),
        ConflictError,
        "n is not due to be destroyed: it is active",
        "wait, or destroy it by its name",
    ),
    "purge, not due": (
        lambda world: world.stash.delete("n", recovery_days=1),
        lambda stash: stash.purge("n"),
        ConflictError,
        "n is not due to be destroyed: only from 2026-01-02 00:00 UTC",
        "wait, or destroy it by its name",
    ),
    "prune, destroyed": (
        lambda world: world.stash.destroy("n"),
        lambda stash: stash.prune("n", keep=1),
        SecretDestroyedError,
        "n is marked as destroyed",
        "`dynastash put n --recreate` begins anew; if nobody did it, run `dynastash verify`",
    ),
    "prune, of what": (
        nothing,
        lambda stash: stash.prune("n"),
        InvalidArgumentError,
        "what to prune was not said",
        "give keep or older_than",
    ),
    "prune, all": (
        nothing,
        lambda stash: stash.prune("n", keep=0),
        InvalidArgumentError,
        "keep is below 1, or older_than below zero",
        None,
    ),
    "advance, no secret": (
        nothing,
        lambda stash: stash.advance("m", 7),
        SecretNotFoundError,
        "there is no secret m",
        "restore it from a backup first; a secret that never comes back up to 7 needs another name",
    ),
    "advance, too far": (
        nothing,
        lambda stash: stash.advance("n", 516),
        ConflictError,
        "n is 513 numbers behind, and its head has room for 512 destroyed versions",
        "run `dynastash prune n` first, or put the secret under another name",
    ),
    "rewrap, damaged": (
        lambda world: world.edit("n", v(2), mac=None),
        lambda stash: list(stash.rewrap("n")),
        FormatError,
        "version 2 of n: the record has no mac",
        TAMPERED,
    ),
    "rewrap, no secret": (
        nothing, lambda stash: list(stash.rewrap("m")), SecretNotFoundError, "there is no secret m", LIST,
    ),
    "roll back, to the current version": (
        nothing,
        lambda stash: stash.rollback("n", 3),
        ConflictError,
        "version 3 of n is current already",
        "`dynastash history n` shows all",
    ),
    "roll back, another version": (
        nothing,
        lambda stash: stash.rollback("n", if_version=2),
        ConflictError,
        "n is at version 3, and version 2 was expected",
        "look at `dynastash history n` and decide",
    ),
    "rotate, a malformed policy": (
        lambda world: forge_newest(world, "m", 5, rotation={"policy": {"S": "x"}}),
        lambda stash: stash.rotate("m"),
        FormatError,
        "the rotation policy of m is malformed",
        "give the policy anew when rotating",
    ),
    "rotate, a step that fails without advice": (
        nothing,
        lambda stash: stash.rotate("n", Stopping(POLICY)),
        RotationError,
        "stopped",
        "version 3 is still current; mend it and run `dynastash rotate n --resume -- PROGRAM`, or give up with "
        "`--abort`",
    ),
    "rotate, a value that cannot be made": (
        nothing,
        lambda stash: stash.rotate("n", Refusing(POLICY)),
        RotationError,
        "no",
        "nothing was written; version 3 is current",
    ),
    "rotate, without a policy": (
        nothing,
        lambda stash: stash.rotate("n"),
        RotationError,
        "n carries no policy to make a new value by",
        "give one, as in `dynastash rotate n --length 32`, or a program",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_of_which_secret_and_what_next(world: World, name: str) -> None:
    """To a client that has seen nothing."""
    before, call, kind, message, hint = REFUSALS[name]
    before(world)
    with pytest.raises(DynastashError) as caught:
        call(world.fresh())
    assert (type(caught.value), str(caught.value), caught.value.hint) == (kind, message, hint)


class Swapping(Between):
    """Answers with the records of ``m`` where it is asked for those of ``n``."""

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        found = super().fetch([RecordKey("m", key.record) for key in wanted])
        return {RecordKey("n", key.record): item for key, item in found.items()}

    def history(self, name: str) -> Iterator[Item]:
        return super().history("m")


class SwappingVersions(Swapping):
    """The same, but for heads."""

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        return (self.inner if HEAD in {key.record for key in wanted} else super()).fetch(wanted)


@pytest.mark.parametrize(
    ("store", "call", "message"),
    [
        (
            SwappingVersions,
            lambda stash: stash.history("n"),
            "the store answered with another secret's records than those of n",
        ),
        (
            Swapping,
            lambda stash: raised(stash.locate(["n"])),
            "the store answered with another record than the head of n",
        ),
        (SwappingVersions, lambda stash: raised(stash.locate(["n"])), "version 3 of n is missing"),
        (
            Swapping,
            lambda stash: stash.history("n"),
            "the records of n do not fit together: one is missing, or the head was changed",
        ),
    ],
)
def test_a_store_that_mixes_secrets_up_is_told_of(
    world: World, store: type[Between], call: Callable[[Stash], object], message: str
) -> None:
    """Also where nothing is authenticated."""
    for number in range(1, 4):
        world.stash.put("m", f"other {number}")
    with pytest.raises(IntegrityError) as caught:
        call(world.fresh(store(world.store)))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "call",
    [
        lambda stash: stash.get("n"),
        lambda stash: stash.get_many(["n"]),
        lambda stash: stash.history("n"),
        lambda stash: raised(stash.locate(["n"])),
    ],
)
@pytest.mark.parametrize(
    ("change", "version"), [(gone, 0), (lambda world: world.edit("n", HEAD, revision={"N": "1"}), 3)]
)
def test_a_secret_that_was_put_back_is_named(
    world: World, change: Do, version: int, call: Callable[[Stash], object]
) -> None:
    """By whoever has seen more."""
    stash = world.fresh()
    stash.get("n")
    change(world)
    with pytest.raises(DynastashError) as caught:
        call(stash)
    error = caught.value.failures["n"] if isinstance(caught.value, PartialError) else caught.value
    message = f"the store shows an earlier state of n than it did before (version {version}, then 3)"
    assert (type(error), str(error), error.hint) == (RollbackError, message, ROLLED_BACK)


def test_a_head_without_a_current_version_speaks_of_none() -> None:
    """Only by a rotation that began on nothing, which no release writes."""
    head = Head(
        name="n", last=1, revision=1, pruned_below=1, state=State.ACTIVE,
        created_ms=1, updated_ms=1, updated_by="x", pending=1,
    )  # fmt: skip
    with pytest.raises(VersionNotFoundError) as caught:
        reader.required(head, Stage.CURRENT)
    assert str(caught.value) == "n has no current version"


@pytest.mark.parametrize(
    "call",
    [
        lambda stash: stash.get("n"),
        lambda stash: stash.get("n", version=1),
        lambda stash: raised_of(stash.get_many, ["n"]),
        lambda stash: stash.history("n"),
        lambda stash: stash.put("n", "x"),
        lambda stash: stash.put("n", "x", recreate=True),
        lambda stash: stash.rollback("n"),
        lambda stash: stash.rotate("n", policy=POLICY),
        lambda stash: stash.abort("n"),
        lambda stash: stash.delete("n"),
        lambda stash: stash.undelete("n"),
        lambda stash: stash.delete("n", 1),
        lambda stash: stash.undelete("n", 1),
        lambda stash: stash.destroy("n"),
        lambda stash: stash.destroy("n", [1]),
        lambda stash: stash.prune("n", keep=1),
        lambda stash: stash.prune("n", keep=1, dry_run=True),
        lambda stash: stash.advance("n", 7),
        lambda stash: list(stash.rewrap("n")),
    ],
)
def test_records_that_do_not_fit_together_are_named(world: World, call: Callable[[Stash], object]) -> None:
    """The newest version is gone: every operation says of which secret."""
    world.drop("n", v(3))
    with pytest.raises(IntegrityError) as caught:
        call(world.fresh())
    assert str(caught.value) == "the records of n do not fit together: one is missing, or the head was changed"
    assert caught.value.hint == APART


class Losing(Between):
    """Whoever commits or rewraps loses the race."""

    def commit(self, change: Change) -> None:
        raise ConflictError("lost")

    def replace_key(self, item: Item, wrapped: WrappedKey, at: int) -> None:
        raise ConflictError("lost")


@pytest.mark.parametrize(
    "call",
    [
        lambda stash: stash.put("n", "x", recreate=True),
        lambda stash: stash.delete("n"),
        lambda stash: stash.destroy("n"),
        lambda stash: stash.destroy("n", [1]),
        lambda stash: stash.prune("n", keep=1),
        lambda stash: stash.advance("n", 7),
        lambda stash: list(stash.rewrap("n")),
    ],
)
def test_a_secret_that_others_keep_changing_is_named(world: World, call: Callable[[Stash], object]) -> None:
    """Whatever was to be done with it."""
    with pytest.raises(ConflictError, match=r"^other writers kept changing n; nothing was written$"):
        call(world.fresh(Losing(world.store)))


@pytest.mark.parametrize("call", [lambda stash: stash.put("n", "x", recreate=True), lambda stash: stash.destroy("n")])
def test_so_is_one_whose_erasure_cannot_be_finished(world: World, call: Callable[[Stash], object]) -> None:
    """What somebody left half done comes first."""
    item = world.item("n", v(1))
    world.stash.destroy("n")
    world.write(item)
    with pytest.raises(ConflictError, match=r"^other writers kept changing n; nothing was written$"):
        call(world.fresh(Losing(world.store)))

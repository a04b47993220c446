"""verify: nothing to report of a store that dynastash wrote, also while it writes; and each kind of damage found."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import pytest

from dynastash.errors import (
    ConfigError,
    DynastashError,
    KeyAccessDeniedError,
    KeyProviderError,
    KeyUnavailableError,
    StoreUnavailableError,
)
from dynastash.generate import RandomBytes
from dynastash.keys.local import LocalKeys
from dynastash.models import Context, DataKey, Item, WrappedKey, from_ms
from dynastash.stash.api import Stash
from dynastash.stash.verify import Finding, Problem, Verified
from dynastash.stores.base import RecordKey
from tests.unit.stash_kit import HEAD, Between, CountingKeys, CountingStore, World, v

NAME = "app/db"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Four versions, the first destroyed and the second deleted; another secret; a destroyed one."""
    world = World(tmp_path)
    for number in range(1, 5):
        world.stash.put(NAME, f"value {number}", comment="why", tags={"team": "a"})
    world.stash.destroy(NAME, [1])
    world.stash.delete(NAME, 2)
    world.stash.put("other", "other")
    world.stash.put("gone", "gone")
    world.stash.put("gone", "gone")
    world.stash.destroy("gone")
    return world


def found(stash: Stash, prefix: str = "", *, structure_only: bool = False) -> list[tuple[str, int | None, str, str]]:
    return [
        (finding.name, finding.version, str(finding.problem), finding.message)
        for result in stash.verify(prefix, structure_only=structure_only)
        for finding in result.findings
    ]


class Stuck:
    """A rotator whose target never accepts."""

    def create(self, rotation: object) -> str:
        return "pending"

    def set(self, rotation: object) -> None:
        raise OSError

    def test(self, rotation: object) -> None:
        raise AssertionError


def test_a_clean_store(world: World) -> None:
    """What was checked is counted; a prefix leaves the rest out."""
    clean = [Verified(NAME, 3, 1, ()), Verified("gone", 0, 2, ()), Verified("other", 1, 0, ())]
    assert list(world.fresh().verify()) == clean
    assert list(world.fresh().verify(structure_only=True)) == clean
    assert list(world.fresh().verify("app/")) == clean[:1]
    assert list(world.fresh().verify("nobody")) == []


def test_every_live_version_is_opened_once_and_nothing_more(world: World) -> None:
    """One unwrap each, one scan, no second look; and without the key, none."""
    keys, store = CountingKeys(world.keys), CountingStore(world.store)
    stash = world.fresh(store, keys)
    list(stash.verify())
    assert keys.calls == ["unwrap"] * 4
    assert store.calls == []  # the scan aside
    list(stash.verify(structure_only=True))
    assert (len(keys.calls), store.calls) == (4, [])


@pytest.mark.parametrize("structure_only", [False, True])
def test_what_is_wrong_at_rest_is_looked_at_twice(world: World, structure_only: bool) -> None:
    """Once more by its name, between two looks at its head, which has not changed."""
    world.drop(NAME, v(2))
    store = CountingStore(world.store)
    assert len(found(world.fresh(store), structure_only=structure_only)) == 1
    assert store.calls == ["fetch", "history", "fetch", "fetch"]


def edit(record: str, **attributes: object) -> Callable[[World], object]:
    return lambda world: world.edit(NAME, record, **attributes)


def replay(record: str, change: Callable[[World], object]) -> Callable[[World], object]:
    """Put ``record`` back as it was before ``change``."""

    def damage(world: World) -> None:
        old = world.item(NAME, record)
        change(world)
        world.write(old)

    return damage


def pending(world: World) -> None:
    with pytest.raises(DynastashError):
        world.stash.rotate(NAME, Stuck())


def several(*damages: Callable[[World], object]) -> Callable[[World], object]:
    return lambda world: [damage(world) for damage in damages]


def forged_destruction(world: World) -> None:
    """Somebody without a key calls the secret destroyed: such a head has no seal."""
    gone = dict.fromkeys(("seal", "current", "previous", "disabled", "destroyed", "comment", "tags"))
    world.edit(NAME, HEAD, state={"S": "destroyed"}, **gone)


def resealed(world: World, **changes: object) -> None:
    """A head that our own code has sealed, with what it would never write."""
    from dataclasses import replace

    reader = world.stash._reader
    snapshot = reader.snapshot(NAME)
    assert snapshot is not None
    trusted = reader.trusted(snapshot)
    world.stash._changes.commit(snapshot, replace(snapshot.head, **changes), trusted.keys)  # type: ignore[arg-type]


def headless(world: World) -> None:
    world.sql("DELETE FROM heads WHERE name = ?", [NAME])
    world.drop(NAME, HEAD)


FORGED = "the record fails authentication"
DAMAGE: Mapping[str, tuple[Callable[[World], object], list[tuple[int | None, Problem, str]], bool]] = {
    # name: damage, findings, whether found without the key
    "a comment": (edit(v(3), comment={"S": "x"}), [(3, Problem.FORGED, FORGED)], False),
    "current's comment": (
        edit(v(4), comment={"S": "x"}),
        [
            (4, Problem.FORGED, FORGED),
            (4, Problem.MISMATCH, "the head's copy of comment or expiry differs"),
            (None, Problem.FORGED, "the head cannot be authenticated: its version does not open"),
        ],
        True,
    ),
    "a ciphertext": (edit(v(3), ciphertext={"B": bytes(80)}), [(3, Problem.FORGED, FORGED)], False),
    "a wrapped key": (
        edit(v(3), wrapped_key={"B": bytes(61)}),
        [
            (
                3,
                Problem.FORGED,
                "the wrapped key of version 3 of app/db was altered or belongs to another record",
            )
        ],
        False,
    ),
    "a head": (
        edit(HEAD, updated_by={"S": "x"}),
        [(None, Problem.FORGED, "the secret's head fails authentication")],
        False,
    ),
    "an unknown attribute": (
        edit(v(3), later={"S": "x"}),
        [(3, Problem.UNKNOWN, "the record has an unknown attribute 'later'"), (3, Problem.FORGED, FORGED)],
        True,
    ),
    "an unknown attribute of the head": (
        edit(HEAD, later={"S": "x"}),
        [
            (None, Problem.UNKNOWN, "the head has an unknown attribute 'later'"),
            (None, Problem.FORGED, "the secret's head fails authentication"),
        ],
        True,
    ),
    "no id": (edit(v(3), id=None), [(3, Problem.MALFORMED, "the record has no id")], True),
    "no id of the current version": (
        edit(v(4), id=None),
        [
            (4, Problem.MALFORMED, "the record has no id"),
            (None, Problem.FORGED, "the head cannot be authenticated: its version does not open"),
        ],
        True,
    ),
    "a half-written record": (
        lambda world: world.write_at(NAME, v(3), '{"name":'),
        [(3, Problem.MALFORMED, "the record has no format")],
        True,
    ),
    "a future format": (
        edit(v(3), format={"N": "2"}),
        [(3, Problem.MALFORMED, "the record is of format 2, which this release does not know")],
        True,
    ),
    "a ttl on a live version": (
        edit(v(3), ttl={"N": "1"}),
        [(3, Problem.MALFORMED, "a live version carries ttl")],
        True,
    ),
    "a malformed head": (
        edit(HEAD, last={"N": "0"}),
        [(None, Problem.MALFORMED, "last: the number is out of range")],
        True,
    ),
    "a malformed tombstone": (
        edit(v(1), more={"S": "x"}),
        [(1, Problem.MALFORMED, "a tombstone carries more than a tombstone does")],
        True,
    ),
    "no head": (headless, [(None, Problem.MISSING, "the secret has no head")], True),
    "no head, and a record of no kind": (
        several(headless, lambda world: world.write_at(NAME, "notes", "{}")),
        [
            (None, Problem.STRAY, "the record 'notes' is neither a head nor a version"),
            (None, Problem.MISSING, "the secret has no head"),
        ],
        True,
    ),
    "an old version is gone": (
        lambda world: world.drop(NAME, v(2)),
        [(2, Problem.MISSING, "the version is missing")],
        True,
    ),
    "several are gone": (
        several(lambda world: world.drop(NAME, v(2)), lambda world: world.drop(NAME, v(3))),
        [
            (2, Problem.MISSING, "the version is missing, and all up to version 3"),
            (3, Problem.MISSING, "the previous version has no value"),
        ],
        True,
    ),
    "the newest version is gone": (
        lambda world: world.drop(NAME, v(4)),
        [
            (4, Problem.MISSING, "the newest version is missing"),
            (4, Problem.MISSING, "the current version has no value"),
        ],
        True,
    ),
    "the pending version is gone": (
        several(pending, lambda world: world.drop(NAME, v(5))),
        [
            (5, Problem.MISSING, "the newest version is missing"),
            (5, Problem.MISSING, "the pending version has no value"),
        ],
        True,
    ),
    "a version beyond the newest": (
        lambda world: world.write({**world.item(NAME, v(3)), "record": {"S": v(5)}, "version": {"N": "5"}}),
        [
            (
                5,
                Problem.FORGED,
                "the wrapped key of version 5 of app/db was altered or belongs to another record",
            ),
            (5, Problem.STRAY, "the version is beyond the head's newest"),
        ],
        True,
    ),
    "a tombstone beyond the newest": (
        lambda world: world.write({**world.item(NAME, v(1)), "record": {"S": v(5)}, "version": {"N": "5"}}),
        [(5, Problem.STRAY, "the version is beyond the head's newest")],
        True,
    ),
    "a record of no kind": (
        lambda world: world.write_at(NAME, "notes", "{}"),
        [(None, Problem.STRAY, "the record 'notes' is neither a head nor a version")],
        True,
    ),
    "a record of no kind among the versions": (
        lambda world: world.write_at(NAME, "v#notes", "{}"),
        [(None, Problem.STRAY, "the record 'v#notes' is neither a head nor a version")],
        True,
    ),
    "what a prune has left": (
        replay(v(2), lambda world: world.stash.prune(NAME, keep=2)),
        [(2, Problem.STRAY, "the version is left over from an interrupted erasure")],
        True,
    ),
    "a destroyed version put back": (
        replay(v(2), lambda world: world.stash.destroy(NAME, [2])),
        [(2, Problem.MISMATCH, "the head calls the version destroyed, and it is not")],
        True,
    ),
    "a version replaced by a tombstone": (
        lambda world: world.write({**world.item(NAME, v(1)), "record": {"S": v(2)}, "version": {"N": "2"}}),
        [(2, Problem.MISSING, "the version was destroyed, and the head does not know of it")],
        True,
    ),
    "a destruction that nobody ordered": (
        forged_destruction,
        [
            (1, Problem.MISSING, "the version was destroyed, and the head does not know of it"),
            *[
                (number, Problem.MISMATCH, "the head calls the version destroyed, and it is not")
                for number in (2, 3, 4)
            ],
        ],
        True,
    ),
    "another version of the secret in its place": (
        lambda world: world.write_at(NAME, v(2), world.sql("SELECT item FROM records WHERE record = ?", [v(3)])[0][0]),  # type: ignore[arg-type]
        [(2, Problem.MALFORMED, "the record has no format")],
        True,
    ),
    "an impossible set": (
        lambda world: resealed(world, destroyed=frozenset((1, 99)), disabled=frozenset((1, 2))),
        [
            (1, Problem.MISMATCH, "the head speaks of a version that it cannot have"),
            (99, Problem.MISMATCH, "the head speaks of a version that it cannot have"),
        ],
        True,
    ),
    "everything pruned": (
        lambda world: resealed(world, pruned_below=5, destroyed=frozenset(), disabled=frozenset()),
        [
            *[(number, Problem.STRAY, "the version is left over from an interrupted erasure") for number in (2, 3, 4)],
            (4, Problem.MISMATCH, "the head calls its newest version pruned"),
        ],
        True,
    ),
    "a false copy": (
        lambda world: resealed(world, comment="x"),
        [(4, Problem.MISMATCH, "the head's copy of comment or expiry differs")],
        True,
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(world: World, damage: str) -> None:
    """Each with its words, on its secret alone; without the key, whatever shapes and invariants show."""
    do, expected, structural = DAMAGE[damage]
    do(world)
    wanted = [(NAME, version, str(problem), message) for version, problem, message in expected]
    said = found(world.fresh())
    # What exactly fails to authenticate is the envelope's to say, and its tests'.
    assert [finding[:3] for finding in said] == [finding[:3] for finding in wanted]
    assert [f for f in said if f[2] != "forged"] == [f for f in wanted if f[2] != "forged"]
    seen = found(world.fresh(), structure_only=True)
    assert set(seen) == {finding for finding in wanted if finding[2] != "forged"}
    assert bool(seen) == structural


def test_what_fails_to_authenticate_is_said(world: World) -> None:
    """In the envelope's words."""
    world.edit(NAME, v(3), comment={"S": "x"})
    world.edit(NAME, HEAD, updated_by={"S": "x"})
    assert [(finding[1], finding[3]) for finding in found(world.fresh())] == [
        (3, "the record fails authentication"),
        (None, "the seal fails authentication"),
    ]
    world.edit(NAME, v(4), comment={"S": "x"})
    assert found(world.fresh())[-1][3] == "the head cannot be authenticated: its version does not open"


def test_a_forged_head_does_not_make_verify_count_to_ten_billion(world: World) -> None:
    """Gaps are runs: whatever a head claims, findings follow the records that there are."""
    world.edit(NAME, HEAD, last={"N": "9999999999"}, pruned_below={"N": "1"})
    findings = found(world.fresh(), structure_only=True)
    assert (NAME, 5, "missing", "the version is missing, and all up to version 9999999998") in findings
    assert len(findings) == 2


@pytest.mark.parametrize(
    ("prepare", "wait", "expected"),
    [
        ("expires", 59, []),
        ("expires", 60, [("n", 1, "expired", "the current version has expired")]),
        ("expires, deleted", 60, []),
        ("deleted", 86_399, []),
        ("deleted", 86_400, [("n", None, "overdue", "the secret is deleted and its recovery window is over")]),
        ("deleted", 86_401, [("n", None, "overdue", "the secret is deleted and its recovery window is over")]),
        ("pending", 86_400, []),
        ("pending", 86_401, [("n", 2, "overdue", "a rotation is pending for more than a day")]),
    ],
)
def test_time(tmp_path: Path, prepare: str, wait: int, expected: object) -> None:
    """Expired, overdue and forgotten, to the second."""
    world = World(tmp_path)
    expires = from_ms(world.clock.now() + 60_000) if "expires" in prepare else None
    world.stash.put("n", "x", expires_at=expires)
    if "deleted" in prepare:
        world.stash.delete("n", recovery_days=1)
    if "pending" in prepare:
        with pytest.raises(DynastashError):
            world.stash.rotate("n", Stuck())
    world.clock.advance(wait)
    for structure_only in (False, True):
        assert found(world.fresh(), "n", structure_only=structure_only) == expected


def test_the_newest_version_may_be_deleted_and_may_be_all_that_is_left(world: World) -> None:
    """An aborted one is nobody's current version; a prune goes as far as the newest."""
    pending(world)
    world.stash.abort(NAME)
    world.stash.delete(NAME, 5)
    world.stash.put("other", "newer")
    world.stash.prune("other", keep=1)
    assert found(world.fresh()) == []


def test_a_destroyed_head_has_no_version_to_agree_with(world: World) -> None:
    """What it does not copy is no second finding."""
    world.stash.put("n", "x", comment="why")
    old = world.item("n", v(1))
    world.stash.destroy("n")
    world.write(old)
    assert found(world.fresh(), "n") == [("n", 1, "mismatch", "the head calls the version destroyed, and it is not")]


# --- what is not about a record


@pytest.mark.parametrize(
    "error",
    [
        KeyAccessDeniedError("no"),
        KeyUnavailableError("gone"),
        KeyProviderError("no data key"),
        ConfigError("the key file is open to others"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_key_provider_that_fails_is_no_finding(world: World, error: DynastashError) -> None:
    """It says nothing of the records: it is raised."""

    class Failing(CountingKeys):
        def unwrap(self, wrapped: WrappedKey, context: Context) -> DataKey:
            raise error

    with pytest.raises(type(error)):
        found(world.fresh(keys=Failing(world.keys)))
    assert found(world.fresh(keys=Failing(world.keys)), structure_only=True) == []


def test_a_stranger_s_key_is_a_finding_for_each_version(world: World) -> None:
    """Records that this environment's key does not open."""
    stash = world.fresh(keys=LocalKeys(DataKey(bytes(32))))
    assert [finding[:3] for finding in found(stash, "other")] == [("other", 1, "forged"), ("other", None, "forged")]


def test_a_store_that_fails_is_no_finding(world: World) -> None:
    """Half a check is none."""

    class Failing(Between):
        def scan(self) -> Iterator[Item]:
            yield next(iter(super().scan()))
            raise StoreUnavailableError("gone")

    with pytest.raises(StoreUnavailableError):
        found(world.fresh(Failing(world.store)))


# --- what this client has seen


def test_a_secret_that_was_put_back_is_found_by_whoever_saw_more(world: World) -> None:
    """Its complete earlier state is authentic; the high-water mark is not fooled."""
    old = world.item("other", HEAD), world.item("other", v(1))
    world.stash.put("other", "newer")
    world.drop("other", v(2))
    for item in old:
        world.write(item)
    assert found(world.fresh()) == []
    for structure_only in (False, True):
        assert found(world.stash, structure_only=structure_only) == [
            (
                "other",
                None,
                "rolled back",
                "the store shows an earlier state of other than it did before (version 1, then 2)",
            )
        ]
    assert found(world.stash, "app/") == []


def test_a_secret_that_is_gone_is_found_by_whoever_saw_it(world: World) -> None:
    """Nothing in the store tells of it any more."""
    world.sql("DELETE FROM heads WHERE name = 'other'")
    for record in world.records("other"):
        world.drop("other", record)
    assert found(world.fresh()) == []
    assert {finding[:3] for finding in found(world.stash)} == {
        ("other", None, "missing"),
        ("other", None, "rolled back"),
    }


def test_what_verify_has_seen_counts_from_then_on(world: World) -> None:
    """An authenticated head is remembered; without the key nothing is."""
    stash, blind = world.fresh(), world.fresh()
    found(stash)
    found(blind, structure_only=True)
    old = world.item("other", HEAD)
    world.fresh().put("other", "newer")
    found(stash)
    world.write(old)
    world.drop("other", v(2))
    assert [finding[2] for finding in found(stash, "other")] == ["rolled back"]
    assert found(blind, "other") == []


# --- while others write


class Meddled(Between):
    """A store in which ``meddle`` happens behind each item that a scan gives, and behind each head that is fetched."""

    def __init__(self, inner: object, meddle: Callable[[], object], times: int) -> None:
        super().__init__(inner)  # type: ignore[arg-type]
        self.meddle = meddle
        self.times = times

    def _happens(self) -> None:
        if self.times:
            self.times -= 1
            self.meddle()

    def scan(self) -> Iterator[Item]:
        names = list(dict.fromkeys(str(item["name"]["S"]) for item in super().scan()))
        for name in names:  # item by item, each as it is when its turn comes: the worst that a scan may do
            last, until = "", self.times - 10
            while True:
                keys = sorted(key.record for key in self._keys(name) if key.record > last)
                if not keys:
                    break
                last = keys[0]
                item = self.inner.fetch([RecordKey(name, last)]).get(RecordKey(name, last))
                if item is not None:
                    yield item
                if self.times > until:  # a writer that is faster than the scan would keep it for ever
                    self._happens()

    def _keys(self, name: str) -> list[RecordKey]:
        versions = [RecordKey(name, str(item["record"]["S"])) for item in self.inner.history(name)]
        return [*versions, RecordKey(name, HEAD)]

    def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
        found = super().fetch(wanted)
        if any(key.record == HEAD for key in wanted):
            self._happens()
        return found


WRITERS: Mapping[str, Callable[[Stash], object]] = {
    "put": lambda stash: stash.put(NAME, "x"),
    "rotate": lambda stash: stash.rotate(NAME, policy=RandomBytes(16)),
    "destroy the oldest": lambda stash: [
        stash.put(NAME, "x"),
        stash.destroy(NAME, [next(v.number for v in stash.history(NAME) if not v.destroyed_at and not v.stages)]),
    ],
    "prune": lambda stash: [stash.put(NAME, "x"), stash.prune(NAME, keep=2)],
    "delete and undelete": lambda stash: [stash.delete(NAME), stash.undelete(NAME)],
    "rewrap": lambda stash: list(stash.rewrap(NAME)),
    "destroy and recreate": lambda stash: [stash.destroy(NAME), stash.put(NAME, "x", recreate=True)],
}


@pytest.mark.parametrize("times", [1, 2, 5, 9, 80])
@pytest.mark.parametrize("writer", WRITERS)
def test_no_false_alarms_while_somebody_writes(world: World, writer: str, times: int) -> None:
    """At every moment of the scan and of the second look, some times or for ever: nothing is reported."""
    other = world.fresh()
    store = Meddled(world.store, lambda: WRITERS[writer](other), times)
    for structure_only in (False, True):
        assert found(world.fresh(store), structure_only=structure_only) == []


def test_damage_is_found_while_somebody_writes(world: World) -> None:
    """What is found each time is true: the writer's own traces are not, and the damage is."""
    world.drop(NAME, v(2))
    other = world.fresh()
    store = Meddled(world.store, lambda: other.put(NAME, "x"), 10_000)
    assert found(world.fresh(store)) == [(NAME, 2, "missing", "the version is missing")]
    assert store.times < 10_000 - 30  # for as long as its patience lasted


def test_the_writer_s_traces_are_not_reported_with_the_damage(world: World) -> None:
    """A second look that never finds the secret at rest: other versions seem to be missing each time."""
    world.write_at(NAME, "notes", "{}")
    other = world.fresh()

    class Restless(Between):
        def history(self, name: str) -> Iterator[Item]:
            listed = list(super().history(name))
            other.put(NAME, "x")
            return iter(listed)

    assert found(world.fresh(Restless(world.store))) == [
        (NAME, None, "stray", "the record 'notes' is neither a head nor a version")
    ]


def test_no_false_alarms_from_several_threads(world: World) -> None:
    """Real writers, a real store, a client that several threads share."""
    done = threading.Event()
    writers = [world.stash, world.fresh()]

    def write(stash: Stash, name: str) -> None:
        while not done.is_set():
            stash.put(name, "x")
            stash.prune(name, keep=3)

    threads = [threading.Thread(target=write, args=(stash, f"w/{n}")) for n, stash in enumerate(writers)]
    for stash, thread in zip(writers, threads, strict=True):
        stash.put(f"w/{threads.index(thread)}", "x")
        thread.start()
    try:
        for _ in range(5):
            assert found(world.stash) == []
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_with_calls_in_flight(world: World) -> None:
    """Several records at once, the same results in the same order."""
    for number in range(40):
        world.stash.put(f"many/{number:02d}", "x")
    parallel = world.fresh(keys=CountingKeys(world.keys, concurrency=4))
    assert list(parallel.verify()) == list(world.fresh().verify())
    world.edit("many/07", v(1), comment={"S": "x"})
    assert [finding[:3] for finding in found(parallel)] == [
        ("many/07", 1, "forged"),
        ("many/07", 1, "mismatch"),
        ("many/07", None, "forged"),
    ]


def test_a_few_secrets_are_checked_at_a_time(world: World) -> None:
    """Whoever stops asking has not paid for the rest."""
    for number in range(40):
        world.stash.put(f"many/{number:02d}", "x")
    drawn: list[Item] = []

    class Drawn(Between):
        def scan(self) -> Iterator[Item]:
            for item in super().scan():
                drawn.append(item)
                yield item

    results = world.fresh(Drawn(world.store)).verify("many/")
    assert next(results).name == "many/00"
    assert len({str(item["name"]["S"]) for item in drawn if str(item["name"]["S"]).startswith("many/")}) == 33
    assert len(list(results)) == 39


def test_what_a_scan_misses_is_read_without_the_key_too(world: World) -> None:
    """Written behind the scan, and seen before: by its name, and as it was asked for."""

    class Missing(Between):
        def scan(self) -> Iterator[Item]:
            return (item for item in super().scan() if item["name"] != {"S": "other"})

    keys = CountingKeys(world.keys)
    stash = world.fresh(Missing(world.store), keys)
    stash.get("other")
    keys.calls.clear()
    assert list(stash.verify("other", structure_only=True)) == [Verified("other", 1, 0, ())]
    assert keys.calls == []
    assert list(stash.verify("other")) == [Verified("other", 1, 0, ())]
    assert keys.calls == ["unwrap"]


def test_a_finding_shows_no_value(world: World) -> None:
    """Nor does what verify holds on to."""
    world.edit(NAME, v(3), comment={"S": "x"})
    text = repr(list(world.fresh().verify()))
    assert "FORGED" in text
    assert "value 3" not in text
    assert Finding(NAME, None, Problem.STRAY, "x").version is None

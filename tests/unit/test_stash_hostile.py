"""Whoever writes the file and has no key: what they try, and how each attempt is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dynastash.errors import (
    ContextMismatchError,
    DynastashError,
    EnvelopeError,
    FormatError,
    IntegrityError,
    KeyProviderError,
    PartialError,
    RollbackError,
    RotationError,
    SecretDestroyedError,
    SecretNotFoundError,
    UnsupportedFormatError,
    UntrustedKeyError,
)
from dynastash.generate import Password
from dynastash.keys.local import LocalKeys
from dynastash.models import DataKey, Item, Stage
from dynastash.rotation.generate import GenerateRotator
from dynastash.stash.api import Stash
from dynastash.stores.base import RecordKey
from tests.unit.stash_kit import HEAD, Between, World, v

REFUSED = (EnvelopeError, KeyProviderError)
TOGETHER = ("get_many", "prefix", "verified")
"""What reads many secrets at once looks at heads and current versions, and at nothing that stands beside them."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three versions of ``n``, of which the third is current, and another secret."""
    world = World(tmp_path)
    world.stash.generate("n", Password(), tags={"team": "x"})
    for value in (b"two", b"three"):
        world.clock.advance(60)
        world.stash.put("n", value, comment=f"version {value.decode()}", content_type="a/b", context={"k": "v"})
    world.stash.put("other", b"of another")
    return world


def failure(call: Callable[[], object]) -> DynastashError:
    """What ``call`` is refused with; of get_many, what the one secret in it is refused with."""
    with pytest.raises(DynastashError) as caught:
        call()
    if isinstance(caught.value, PartialError):
        (error,) = caught.value.failures.values()
        return error
    return caught.value


def reads(stash: Stash) -> dict[str, Callable[[], object]]:
    """Everything that gives out the current value of ``n``, or acts on it."""
    return {
        "get": lambda: stash.get("n"),
        "get_many": lambda: stash.get_many(["n"]),
        "prefix": lambda: stash.get_many(prefix="n"),
        "version": lambda: stash.get("n", version=3),
        "verified": lambda: stash.list("n", verified=True),
        "policy": lambda: stash.policy("n"),
        "rotate": lambda: stash.rotate("n"),
        "rollback": lambda: stash.rollback("n"),
        "put": lambda: stash.put("n", b"new"),
        "put if": lambda: stash.put("n", b"new", if_version=3),
        "delete": lambda: stash.delete("n"),
        "disable": lambda: stash.delete("n", 1),
        "destroy": lambda: stash.destroy("n"),
        "prune": lambda: stash.prune("n", keep=1),
        "rewrap": lambda: list(stash.rewrap("n")),
    }


OPERATIONS = list(reads(None))  # type: ignore[arg-type]


def refused_everywhere(world: World, *errors: type[DynastashError], but: Collection[str] = ()) -> None:
    """Every operation of a fresh client refuses with one of ``errors``, and writes nothing."""
    before = world.sql("SELECT * FROM records ORDER BY name, record")
    for operation in OPERATIONS:
        if operation not in but:
            error = failure(reads(world.fresh())[operation])
            assert isinstance(error, errors), (operation, error)
    assert world.sql("SELECT * FROM records ORDER BY name, record") == before


class TestVersions:
    """The newest version's record, altered or exchanged."""

    def test_a_record_copied_to_another_name(self, world: World) -> None:
        """Its data key is bound to the name that it was made for."""
        world.write({**world.item("other", v(1)), "name": {"S": "n"}, "record": {"S": v(3)}, "version": {"N": "3"}})
        refused_everywhere(world, ContextMismatchError)

    def test_a_record_of_an_earlier_version_relabelled(self, world: World) -> None:
        """The oldest value as the newest."""
        world.write({**world.item("n", v(2)), "record": {"S": v(3)}, "version": {"N": "3"}})
        refused_everywhere(world, ContextMismatchError)

    def test_a_record_of_an_earlier_version_in_its_place(self, world: World) -> None:
        """Moved, not even relabelled: the row says otherwise than the record."""
        item = world.item("n", v(2))
        ((text,),) = world.sql("SELECT item FROM records WHERE name = 'n' AND record = ?", (v(2),))
        assert item["version"] == {"N": "2"}
        world.write_at("n", v(3), str(text))
        refused_everywhere(world, FormatError, IntegrityError)

    def test_an_earlier_version_replayed_as_a_new_one(self, world: World) -> None:
        """A fourth record, and a head that claims it."""
        world.write({**world.item("n", v(2)), "record": {"S": v(4)}, "version": {"N": "4"}})
        refused_everywhere(world, IntegrityError, but=TOGETHER)
        world.edit("n", HEAD, last={"N": "4"}, current={"N": "4"})
        refused_everywhere(world, ContextMismatchError)

    def test_a_record_under_a_strangers_key(self, world: World) -> None:
        """Well made in every respect, by somebody with a local key of their own."""
        stranger = World(Path(str(world.path.parent) + "-stranger"))
        stranger.keys = LocalKeys(DataKey(b"\x07" * 32))
        client = stranger.fresh()
        for value in (b"a", b"b", b"evil"):
            client.put("n", value)
        world.write(stranger.item("n", v(3)))
        refused_everywhere(world, UntrustedKeyError)
        world.write(stranger.item("n", HEAD))
        refused_everywhere(world, UntrustedKeyError)
        world.edit("n", v(3), key_id=world.item("n", v(2))["key_id"])
        refused_everywhere(world, ContextMismatchError)

    def test_of_another_environment(self, world: World) -> None:
        """The same name, number and key, elsewhere."""
        other = World(Path(str(world.path.parent) + "-dev"), "dev")
        for value in (b"a", b"b", b"c"):
            other.stash.put("n", value)
        head = world.item("n", HEAD)
        world.write(other.item("n", v(3)))
        refused_everywhere(world, ContextMismatchError)
        world.write(other.item("n", HEAD))
        refused_everywhere(world, ContextMismatchError)
        world.write(head)

    def test_a_tombstone_in_the_place_of_current(self, world: World) -> None:
        """I4: what is current is live."""
        item = world.item("n", v(3))
        kept = {part: item[part] for part in ("name", "record", "format", "version", "id", "created_at", "created_by")}
        world.write({**kept, "destroyed_at": {"N": "1"}, "destroyed_by": {"S": "x"}})
        refused_everywhere(world, IntegrityError)

    def test_the_newest_one_deleted(self, world: World) -> None:
        """I2: not the one before it is served."""
        world.drop("n", v(3))
        refused_everywhere(world, IntegrityError)

    def test_one_beyond_the_head(self, world: World) -> None:
        """A record that no head knows of."""
        world.write({**world.item("n", v(3)), "record": {"S": v(4)}, "version": {"N": "4"}})
        refused_everywhere(world, IntegrityError, but=TOGETHER)
        # What is asked for together is read by its own keys alone: the genuine current version.
        assert world.fresh().get_many(["n"])["n"].value == b"three"

    def test_an_older_one_deleted_or_destroyed(self, world: World) -> None:
        """Whoever asks for it is told that something is wrong; the others are not concerned."""
        item = world.item("n", v(1))
        world.drop("n", v(1))
        assert isinstance(failure(lambda: world.fresh().get("n", version=1)), IntegrityError)
        assert isinstance(failure(lambda: world.fresh().rollback("n", 1)), IntegrityError)
        assert world.fresh().get("n").value == b"three"
        kept = {part: item[part] for part in ("name", "record", "format", "version", "id", "created_at", "created_by")}
        world.write({**kept, "destroyed_at": {"N": "1"}, "destroyed_by": {"S": "x"}})
        assert isinstance(failure(lambda: world.fresh().get("n", version=1)), IntegrityError)

    def test_an_older_one_altered(self, world: World) -> None:
        """A get of it, and a rollback to it, are refused."""
        for part, value in (("comment", {"S": "x"}), ("mac", {"B": bytes(64)})):
            item = world.item("n", v(2))
            world.edit("n", v(2), **{part: value})
            for call in (
                lambda: world.fresh().get("n", version=2),
                lambda: world.fresh().get("n", stage=Stage.PREVIOUS),
                lambda: world.fresh().rollback("n"),
            ):
                assert isinstance(failure(call), IntegrityError)
            world.write(item)
        assert world.fresh().get("n", version=2).value == b"two"


class TestHeads:
    """The head, altered or exchanged."""

    def test_one_with_a_lower_last(self, world: World) -> None:
        """Genuine when it was written. Asked for together, secrets are read by their own keys: see below."""
        world.write(world.item("n", HEAD))
        head = world.item("n", HEAD)
        world.stash.put("n", b"four")
        world.write(head)
        refused_everywhere(world, IntegrityError, but=TOGETHER)
        assert isinstance(failure(lambda: world.fresh().get("n", version=1)), IntegrityError)
        # The price of two reads for any number of secrets: a genuine earlier state, which the newest version's absence
        # would make whole. Whoever has seen more refuses.
        assert world.fresh().get_many(["n"])["n"].value == b"three"
        assert isinstance(failure(lambda: world.stash.get_many(["n"])), RollbackError)

    def test_one_copied_from_another_secret(self, world: World) -> None:
        """Sealed under another data key."""
        world.write({**world.item("other", HEAD), "name": {"S": "n"}, "last": {"N": "3"}, "current": {"N": "3"}})
        refused_everywhere(world, IntegrityError)

    @pytest.mark.parametrize("current", ["1", "2"])
    def test_another_current(self, world: World, current: str) -> None:
        """An earlier value put forward by pointing at it."""
        world.edit("n", HEAD, current={"N": current})
        refused_everywhere(world, IntegrityError)

    @pytest.mark.parametrize(
        "edit",
        [
            {"state": {"S": "deleted"}},
            {"state": {"S": "deleted"}, "deleted_at": {"N": "1"}, "purge_at": {"N": "2"}},
            {"pending": {"N": "2"}},
            {"previous": {"N": "1"}},
            {"previous": None},
            {"pruned_below": {"N": "3"}},
            {"destroyed": {"NS": ["1", "2"]}},
            {"disabled": {"NS": ["3"]}},
            {"disabled": {"NS": ["1"]}},
            {"tags": {"M": {"team": {"S": "y"}}}},
            {"tags": None},
            {"rotation": None},
            {"rotation": {"M": {"policy": {"M": {"kind": {"S": "password"}}}}}},
            {"comment": {"S": "another"}},
            {"expires_at": {"N": "1"}},
            {"revision": {"N": "9"}},
            {"created_at": {"N": "1"}},
            {"updated_at": {"N": "1"}},
            {"updated_by": {"S": "somebody else"}},
            {"of_a_later_release": {"S": "x"}},
            {"seal": {"B": bytes(64)}},
        ],
        ids=str,
    )
    def test_any_attribute_changed(self, world: World, edit: dict[str, object]) -> None:
        """Nobody is told anything on such a head's word: not that it is deleted, not that a rotation is pending."""
        world.edit("n", HEAD, **edit)
        refused_everywhere(world, IntegrityError)
        for stage in ("pending", "previous"):
            assert isinstance(failure(lambda stage=stage: world.fresh().get("n", stage=stage)), IntegrityError)
        for call in (
            lambda: world.fresh().get("n", version=1),
            lambda: world.fresh().get("n", version=9),
            lambda: world.fresh().resume("n", GenerateRotator(Password())),
            lambda: world.fresh().abort("n"),
            lambda: world.fresh().undelete("n"),
        ):
            assert isinstance(failure(call), IntegrityError)

    def test_the_seal_stripped(self, world: World) -> None:
        """A head without one is no head."""
        world.edit("n", HEAD, seal=None)
        refused_everywhere(world, FormatError)

    def test_a_last_that_uses_up_the_numbers(self, world: World) -> None:
        """A denial at most, and one that says what it is."""
        top = 9_999_999_999
        world.edit("n", HEAD, last={"N": str(top)})
        world.write({**world.item("n", v(3)), "record": {"S": v(top)}, "version": {"N": str(top)}})
        refused_everywhere(world, IntegrityError, ContextMismatchError)

    def test_gone_with_the_versions_there(self, world: World) -> None:
        """Not a secret that does not exist: put must not begin again at 1."""
        world.sql("DELETE FROM heads WHERE name = 'n'")
        world.drop("n", HEAD)
        refused_everywhere(world, IntegrityError, SecretNotFoundError, but=("prefix", "verified"))
        for operation in ("get", "version", "put", "rollback", "rotate"):
            assert isinstance(failure(reads(world.fresh())[operation]), IntegrityError)
        assert isinstance(failure(lambda: world.fresh().history("n")), IntegrityError)

    def test_marked_as_destroyed(self, world: World) -> None:
        """A denial, as deleting everything would be: a destroyed head has no seal."""
        head = world.item("n", HEAD)
        for part in ("seal", "current", "previous"):
            del head[part]
        world.write({**head, "state": {"S": "destroyed"}})
        for operation in ("get", "get_many", "version", "rotate", "rollback", "put", "put if", "policy"):
            assert isinstance(failure(reads(world.fresh())[operation]), SecretDestroyedError)
        assert isinstance(failure(lambda: world.fresh().resume("n", GenerateRotator(Password()))), SecretDestroyedError)
        assert isinstance(failure(lambda: world.fresh().abort("n")), SecretDestroyedError)

    def test_recreating_seals_nothing_of_a_destroyed_head(self, world: World) -> None:
        """It has no seal: whoever wrote the file could have written anything into it."""
        head = world.item("n", HEAD)
        for part in ("seal", "current", "previous"):
            del head[part]
        world.write(
            {**head, "state": {"S": "destroyed"}, "purge_at": {"N": "1"}, "strange": {"S": "x"},
             "disabled": {"NS": ["1"]}}
        )  # fmt: skip
        assert world.fresh().put("n", b"again", recreate=True).number == 4
        item = world.item("n", HEAD)
        assert not {"purge_at", "strange", "disabled", "tags", "rotation", "previous"} & item.keys()
        assert world.fresh().get("n").value == b"again"


class TestTheMatrix:
    """Every attribute of a version and of a head: dropped, emptied, flipped, retyped, extended; and one added."""

    @staticmethod
    def variants(value: Mapping[str, Any]) -> dict[str, object]:
        ((kind, content),) = value.items()
        made: dict[str, object] = {"dropped": None, "null": {"NULL": True}, "two types": {"S": "1", "N": "1"}}
        made["no type"] = {}
        if kind == "B":
            made |= {
                "emptied": {"B": b""},
                "flipped": {"B": bytes([content[0] ^ 1]) + content[1:]},
                "extended": {"B": content + b"\x00"},
                "shortened": {"B": content[:-1]},
                "retyped": {"S": base64.b64encode(content).decode()},
            }
        elif kind == "S":
            made |= {
                "emptied": {"S": ""},
                "flipped": {"S": chr(ord(content[0]) ^ 1) + content[1:]},
                "extended": {"S": content + "x"},
                "retyped": {"B": content.encode()},
            }
        elif kind == "N":
            made |= {
                "emptied": {"N": ""},
                "flipped": {"N": str(int(content) ^ 1)},
                "extended": {"N": content + "0"},
                "retyped": {"S": content},
                "as a number": {"N": int(content)},
                "spelled otherwise": {"N": "0" + content},
            }
        elif kind == "M":
            made |= {"emptied": {"M": {}}, "extended": {"M": {**content, "more": {"S": "x"}}}, "retyped": {"L": []}}
        else:
            raise AssertionError(kind)
        return made

    @pytest.mark.parametrize("record", [v(3), HEAD])
    def test_never_a_wrong_value(self, world: World, record: str) -> None:
        """Refused, all but key_id, which is for display: it may say anything and changes nothing."""
        world.write(world.item("n", record))
        original = world.item("n", record)
        for attribute, value in original.items():
            for variant, altered in self.variants(value).items():  # type: ignore[arg-type]
                changed = {**original, attribute: altered}
                item = {part: content for part, content in changed.items() if content is not None}
                text = json.dumps(item, default=lambda content: base64.b64encode(content).decode())
                world.write_at("n", record, text)
                stash = world.fresh()
                if attribute == "key_id" and variant in ("flipped", "extended"):
                    assert stash.get("n").value == b"three"
                    continue
                for operation in ("get", "get_many", "version", "put"):
                    error = failure(reads(stash)[operation])
                    assert isinstance(error, (*REFUSED, SecretDestroyedError)), (attribute, variant, operation, error)
                world.write(original)
        world.write({**original, "added": {"S": "x"}})
        assert isinstance(failure(lambda: world.fresh().get("n")), IntegrityError)
        world.write(original)
        assert world.fresh().get("n").value == b"three"

    def test_unknown_formats_and_suites_are_told_from_forgeries(self, world: World) -> None:
        """A later release's record says so, and what to do."""
        for record, part, value in (
            (v(3), "format", {"N": "2"}),
            (v(3), "suite", {"B": b"\x02\x01"}),
            (HEAD, "format", {"N": "2"}),
        ):
            original = world.item("n", record)
            world.edit("n", record, **{part: value})
            error = failure(lambda: world.fresh().get("n"))
            assert isinstance(error, UnsupportedFormatError)
            assert error.hint == "upgrade dynastash"
            world.write(original)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', "{}", '{"name": 7}', "[" * 100_000, "NaN"])
    def test_junk_is_refused_with_our_own_errors(self, world: World, text: str) -> None:
        """Whatever stands in the file, of a version or of a head; the other secrets are not concerned."""
        for record in (v(3), HEAD):
            original = world.item("n", record)
            world.write_at("n", record, text)
            for operation in ("get", "get_many", "version", "put", "rotate"):
                assert isinstance(failure(reads(world.fresh())[operation]), EnvelopeError)
            assert isinstance(failure(lambda: world.fresh().history("n")), EnvelopeError)
            assert world.fresh().get("other").value == b"of another"
            world.write(original)


class TestAnswersToOtherQuestions:
    """A store that answers with another record than it was asked for."""

    class Confusing(Between):
        """Gives ``other``'s records for ``n``'s, or under the keys of ``n``."""

        where = ""

        def newest(self, name: str) -> Sequence[Item]:
            if self.where == "newest":
                name = "other"
            items = list(super().newest(name))
            return [items[0], self.inner.newest("other")[1]] if self.where == "version" else items

        def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
            found = dict(super().fetch(wanted))
            if self.where == "fetch":
                return {key: self.inner.newest("other")[0 if key.record == HEAD else 1] for key in found}
            return found

        def history(self, name: str) -> Any:
            return super().history("other" if self.where == "history" else name)

        def heads(self, prefix: str = "") -> Any:
            return super().heads("" if self.where == "heads" else prefix)

    @pytest.mark.parametrize(
        ("where", "operations"),
        [
            ("newest", ["get", "version", "put", "rotate", "rollback", "policy"]),
            ("version", ["get", "version", "put", "rotate", "rollback", "policy"]),
            ("fetch", ["rollback"]),
            ("heads", ["prefix", "verified"]),
        ],
    )
    def test_are_refused(self, world: World, where: str, operations: list[str]) -> None:
        """The name and the number in the record must be those asked for."""
        store = self.Confusing(world.store)
        store.where = where
        for operation in operations:
            assert isinstance(failure(reads(world.fresh(store))[operation]), IntegrityError), operation

    def test_of_one_by_one_keys(self, world: World) -> None:
        """get of a version that is not the newest; history; a listing."""
        store = self.Confusing(world.store)
        store.where = "fetch"
        assert isinstance(failure(lambda: world.fresh(store).get("n", version=1)), IntegrityError)
        assert isinstance(failure(lambda: world.fresh(store).history("n")), IntegrityError)
        store.where = "history"
        assert isinstance(failure(lambda: world.fresh(store).history("n")), IntegrityError)
        store.where = "heads"
        assert isinstance(failure(lambda: world.fresh(store).list("n")), IntegrityError)

    def test_get_many_reads_by_name_what_the_batch_confused(self, world: World) -> None:
        """Wrong heads in a batch are no error as long as the secret itself is well."""
        store = self.Confusing(world.store)
        store.where = "fetch"
        assert world.fresh(store).get_many(["n"])["n"].value == b"three"


class TestPending:
    """A rotation that stopped, and an attacker in between."""

    @pytest.fixture
    def pending(self, world: World) -> World:
        class Stopping:
            def create(self, rotation: object) -> Any:
                from dynastash.models import Plaintext

                return Plaintext(b"pending")

            def set(self, rotation: object) -> None:
                raise RotationError("stopped", step="set")

            def test(self, rotation: object) -> None: ...

        with pytest.raises(RotationError):
            world.stash.rotate("n", Stopping())
        return world

    def test_an_altered_pending_version_is_not_promoted(self, pending: World) -> None:
        """Neither resumed; but it can be aborted, or nothing could ever be put again."""
        pending.edit("n", v(4), comment={"S": "evil"})
        assert isinstance(failure(lambda: pending.fresh().resume("n", GenerateRotator(Password()))), IntegrityError)
        assert pending.fresh().get("n").value == b"three"
        assert pending.fresh().abort("n").number == 4
        assert pending.fresh().put("n", b"five").number == 5

    def test_an_altered_head_is_neither_promoted_nor_aborted(self, pending: World) -> None:
        """The pending stage on an older version: refused before anything is set."""
        pending.edit("n", HEAD, pending={"N": "1"})
        resume = partial(pending.fresh().resume, rotator=GenerateRotator(Password()))
        for call in (resume, pending.fresh().abort, pending.fresh().get):
            assert isinstance(failure(lambda call=call: call("n")), IntegrityError)

    @pytest.mark.parametrize("edit", [{"state": {"S": "deleted"}}, {"pending": None}, {"pending": {"N": "1"}}], ids=str)
    def test_a_head_altered_between_the_steps_is_not_believed(self, pending: World, edit: dict[str, object]) -> None:
        """That the secret was deleted, or the rotation aborted, is said on an authentic head's word alone."""

        class Meddling:
            def create(self, rotation: object) -> Any: ...

            def set(self, rotation: object) -> None: ...

            def test(self, rotation: object) -> None:
                pending.edit("n", HEAD, **edit)

        error = failure(lambda: pending.fresh().resume("n", Meddling()))
        assert isinstance(error, RotationError)
        assert isinstance(error.__cause__, IntegrityError)

    def test_a_missing_current_version_is_our_own_error(self, pending: World) -> None:
        """Current is not the newest: its record is read apart, and its absence must not escape as something else."""
        pending.stash.abort("n")
        pending.drop("n", v(3))
        refused_everywhere(pending, IntegrityError)

    def test_a_relabelled_pending_version_is_not_described(self, pending: World) -> None:
        """Abort opens nothing, and still looks whose record it shows."""

        class Relabelling(Between):
            def newest(self, name: str) -> Sequence[Item]:
                head, newest = super().newest(name)
                return [head, {**newest, "version": {"N": "9"}}]

        assert isinstance(failure(lambda: pending.fresh(Relabelling(pending.store)).abort("n")), EnvelopeError)

    def test_nor_is_another_record_fetched_for_it(self, pending: World) -> None:
        """Where pending is not the newest, it is read by its own key."""
        from tests.unit.test_stash_basics import forge_newest

        forge_newest(pending, "x", 9, pending=8)
        pending.write({**pending.item("other", v(1)), "name": {"S": "x"}, "record": {"S": v(8)}, "version": {"N": "8"}})

        class Confusing(Between):
            def fetch(self, wanted: Collection[RecordKey]) -> Mapping[RecordKey, Item]:
                return {key: self.inner.newest("other")[1] for key in wanted}

        error = failure(lambda: pending.fresh(Confusing(pending.store)).abort("x"))
        assert isinstance(error, IntegrityError)
        assert str(error) == "the store answered with another record than version 8 of x"
        assert pending.fresh().abort("x").number == 8


def test_a_destroyed_head_is_never_trusted(world: World) -> None:
    """A guard for whoever changes the rules: it has no seal."""
    world.stash.destroy("n")
    reader = world.fresh()._reader
    snapshot = reader.snapshot("n")
    assert snapshot is not None
    error = failure(lambda: reader.trusted(snapshot))
    assert isinstance(error, IntegrityError)
    assert str(error) == "n has no version to check its head with"
    reader.vouch(snapshot)


def test_a_rotation_policy_of_another_shape_is_refused(tmp_path: Path) -> None:
    """Sealed by somebody with the key, and still not understood: no default is taken in its place."""
    from tests.unit.test_stash_basics import forge_newest

    world = World(tmp_path)
    world.stash.put("x", b"")
    forge_newest(world, "n", 5, rotation={"policy": {"S": "x"}})
    assert isinstance(failure(lambda: world.fresh().policy("n")), FormatError)
    assert isinstance(failure(lambda: world.fresh().rotate("n")), FormatError)
    assert world.fresh().rotate("n", policy=Password()).number == 6

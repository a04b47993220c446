"""put, get, history, generate, rollback, policy: what they document, at the edges of what they accept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from dynastash.crypto import envelope, records
from dynastash.crypto.records import VersionMetadata
from dynastash.errors import (
    ConflictError,
    ExpiredError,
    InvalidArgumentError,
    InvalidNameError,
    RollbackError,
    SecretDeletedError,
    SecretNotFoundError,
    ValueTooLargeError,
    VersionNotFoundError,
)
from dynastash.generate import Passphrase, Password
from dynastash.models import MAX_VALUE, MAX_VERSION, Context, Head, Plaintext, Stage, State, from_ms
from dynastash.rotation.generate import GenerateRotator
from tests.unit.stash_kit import HEAD, CountingStore, World, v


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def at(world: World, seconds: float) -> datetime:
    """A moment so far from the fake clock's now."""
    return from_ms(world.clock.now()) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", [b"", b"\x00", "Grüße, 世界 🔑", b"\xff\xfe" * 40, bytes(59), bytes(60), bytes(1019), bytes(1020)]
)
def test_a_value_comes_back_byte_for_byte(world: World, value: str | bytes) -> None:
    """Empty, binary, text in UTF-8, and both sides of the paddings' borders."""
    world.stash.put("n", value)
    assert world.fresh().get("n").value == (value.encode() if isinstance(value, str) else value)


@pytest.mark.parametrize("value", [bytearray(b"xyz"), memoryview(b"xyz"), Plaintext(b"xyz")])
def test_bytes_come_in_several_types(world: World, value: object) -> None:
    """Whatever is bytes is bytes."""
    world.stash.put("n", value)  # type: ignore[arg-type]
    assert world.fresh().get("n").value == b"xyz"


def test_320_kib_fit_and_one_byte_more_does_not(world: World) -> None:
    """The limit is of bytes, not of characters, and is checked before anything is asked of the store."""
    world.stash.put("n", bytes(MAX_VALUE))
    assert len(world.fresh().get("n").value) == MAX_VALUE
    for value in (bytes(MAX_VALUE + 1), "é" * (MAX_VALUE // 2) + "x"):
        with pytest.raises(ValueTooLargeError):
            world.stash.put("n", value)
    assert world.records("n") == [v(1), HEAD]


@pytest.mark.parametrize("value", [None, 7, ["x"]])
def test_what_is_neither_text_nor_bytes_is_refused(world: World, value: object) -> None:
    """A number is not turned into a string behind the caller's back."""
    with pytest.raises(InvalidArgumentError):
        world.stash.put("n", value)  # type: ignore[arg-type]


def test_text_that_utf8_cannot_carry_is_refused_without_quoting_it(world: World) -> None:
    """A lone surrogate; the message does not hold the value."""
    with pytest.raises(InvalidArgumentError) as caught:
        world.stash.put("n", "secret\ud800")
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["", "/a", "a//b", "a/../b", "a b", "a\n", "x" * 513, "é"])
def test_names_are_checked_by_every_operation(world: World, name: str) -> None:
    """Each method checks before it reads."""
    stash = world.stash
    for call in (
        lambda: stash.put(name, b""),
        lambda: stash.generate(name, Password()),
        lambda: stash.get(name),
        lambda: stash.get_many([name]),
        lambda: stash.history(name),
        lambda: stash.rollback(name),
        lambda: stash.policy(name),
        lambda: stash.rotate(name),
        lambda: stash.resume(name, GenerateRotator(Password())),
        lambda: stash.abort(name),
        lambda: stash.delete(name),
        lambda: stash.undelete(name),
        lambda: stash.destroy(name),
        lambda: stash.prune(name, keep=1),
        lambda: list(stash.rewrap(name)),
    ):
        with pytest.raises(InvalidNameError):
            call()
    assert not world.path.exists()


def test_what_put_says_is_what_history_and_get_say(world: World) -> None:
    """Author, time, comment, content type, context, expiry, stages; the same from all three."""
    put = world.stash.put(
        "app/n",
        "x",
        comment="why",
        content_type="text/plain",
        expires_at=at(world, 60),
        tags={"team": "x", "empty": ""},
        context={"purpose": "test"},
    )
    secret = world.fresh().get("app/n")
    assert secret.version == put == world.stash.history("app/n")[0]
    assert (put.number, put.created_by, put.comment, put.content_type) == (1, "test:somebody", "why", "text/plain")
    assert (put.stages, dict(put.context), put.expires_at) == ((Stage.CURRENT,), {"purpose": "test"}, at(world, 60))
    assert put.created_at == from_ms(world.clock.now())
    assert dict(secret.tags) == {"team": "x", "empty": ""}


def test_the_identity_is_asked_once(world: World) -> None:
    """For a caller on AWS each question would be a call to STS; a failure to answer is asked again."""
    asked: list[None] = []

    def identity() -> str:
        asked.append(None)
        if len(asked) == 1:
            raise InvalidArgumentError("not now")
        return "me"

    stash = world.fresh(identity=identity)
    stash.history  # noqa: B018
    assert not asked
    with pytest.raises(InvalidArgumentError, match="not now"):
        stash.put("n", b"")
    assert [stash.put("n", b"").created_by for _ in range(3)] == ["me"] * 3
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("details", "error"),
    [
        ({"comment": "é" * 513}, ValueTooLargeError),
        ({"content_type": "x" * 257}, ValueTooLargeError),
        ({"tags": {f"k{i}": "" for i in range(21)}}, ValueTooLargeError),
        ({"tags": {"k": "x" * 4096}}, ValueTooLargeError),
        ({"context": {f"k{i}": "v" for i in range(21)}}, ValueTooLargeError),
        ({"context": {"k": "x" * 4096}}, ValueTooLargeError),
        ({"context": {"k": ""}}, InvalidArgumentError),
        ({"context": {"": "v"}}, InvalidArgumentError),
        ({"context": {"dynastash:env": "dev"}}, InvalidArgumentError),
        ({"tags": {"k": 7}}, InvalidArgumentError),
        ({"comment": "\ud800"}, InvalidArgumentError),
        ({"if_version": -1}, InvalidArgumentError),
        ({"if_version": MAX_VERSION + 1}, InvalidArgumentError),
        ({"if_version": True}, InvalidArgumentError),
        ({"if_version": False}, InvalidArgumentError),
        ({"if_version": "1"}, InvalidArgumentError),
    ],
    ids=str,
)
def test_details_outside_their_limits_are_refused(world: World, details: dict[str, object], error: type) -> None:
    """Nothing is written that could not be read again; put and generate agree."""
    for call in (
        lambda: world.stash.put("n", b"x", **details),
        lambda: world.stash.generate("n", Password(), **details),
    ):  # type: ignore[arg-type]
        with pytest.raises(error):
            call()
    assert not world.path.exists()


def test_details_at_their_limits_fit(world: World) -> None:
    """1 KiB of comment, 20 pairs, 4 KiB in all."""
    pairs = {f"{i:04d}": "x" * 200 for i in range(20)}
    twenty = {**pairs, "0000": "x" * 216}
    world.stash.put("n", b"x", comment="é" * 512, content_type="y" * 256, tags=twenty, context=twenty)
    secret = world.fresh().get("n")
    assert (secret.version.comment, dict(secret.tags), dict(secret.version.context)) == ("é" * 512, twenty, twenty)


def test_an_empty_comment_is_none(world: World) -> None:
    """There is one way to say nothing."""
    assert world.stash.put("n", b"", comment="", content_type="").comment is None
    assert world.fresh().get("n").version.content_type is None


class TestExpiry:
    """Expiry is logical: the record stays, and is not given out."""

    @pytest.mark.parametrize("seconds", [0, -1, 0.9])
    def test_past_is_refused(self, world: World, seconds: float) -> None:
        """Now counts as past, and so does what a whole second rounds down to it."""
        with pytest.raises(InvalidArgumentError):
            world.stash.put("n", b"", expires_at=at(world, seconds))

    def test_naive_is_refused(self, world: World) -> None:
        """A time without a zone is an hour off somewhere."""
        with pytest.raises(InvalidArgumentError, match="time zone"):
            world.stash.put("n", b"", expires_at=datetime(2999, 1, 1))

    def test_beyond_the_year_9999_is_refused(self, world: World) -> None:
        """It would be sealed, stored, and not be shown by any datetime."""
        world.stash.put("n", b"", expires_at=datetime.max.replace(tzinfo=UTC))
        with pytest.raises(InvalidArgumentError):
            world.stash.put("n", b"", expires_at=datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))))

    def test_it_passes_while_stored(self, world: World) -> None:
        """To the second: readable until just before, then refused by get, get_many and rollback's target alike."""
        world.stash.put("n", b"old", expires_at=at(world, 10))
        world.clock.advance(9.999)
        assert world.fresh().get("n").value == b"old"
        world.clock.advance(0.001)
        for call in (
            lambda: world.fresh().get("n"),
            lambda: world.fresh().get("n", version=1),
            lambda: world.fresh().get("n", stage="current"),
        ):
            with pytest.raises(ExpiredError) as caught:
                call()
            assert caught.value.hint == "put or rotate n"
        assert world.stash.list()[0].expires_at == from_ms(world.clock.now())

    def test_an_expired_secret_can_be_put_rolled_back_to_and_rotated(self, world: World) -> None:
        """Expiry is no reason to refuse the remedy; the new version does not inherit it."""
        world.stash.generate("n", Password(), expires_at=at(world, 1))
        first = world.stash.get("n").value
        world.clock.advance(5)
        rotated = world.stash.rotate("n")
        assert (rotated.number, rotated.expires_at) == (2, None)
        rolled = world.stash.rollback("n", 1)
        assert rolled.expires_at is None
        assert world.fresh().get("n").value == first

    def test_an_expired_secret_says_by_what_it_is_rotated(self, world: World) -> None:
        """That is when it has to be."""
        world.stash.generate("n", Password(length=40), expires_at=at(world, 1))
        world.clock.advance(5)
        assert world.fresh().policy("n") == Password(length=40)


class TestIfVersion:
    """Compare-and-set on the current version."""

    def test_zero_means_that_there_is_none(self, world: World) -> None:
        """Creation without overwriting."""
        assert world.stash.put("n", b"a", if_version=0).number == 1
        with pytest.raises(ConflictError):
            world.fresh().put("n", b"b", if_version=0)
        assert world.fresh().get("n").value == b"a"

    def test_the_current_version_holds_and_any_other_does_not(self, world: World) -> None:
        """A stale number, one to come, and any at all where nothing is stored."""
        with pytest.raises(ConflictError, match="does not exist"):
            world.stash.put("n", b"a", if_version=1)
        world.stash.put("n", b"a")
        assert world.stash.put("n", b"b", if_version=1).number == 2
        for number in (0, 1, 3):
            with pytest.raises(ConflictError, match="is at version 2"):
                world.stash.put("n", b"c", if_version=number)
        assert world.records("n") == [v(1), v(2), HEAD]

    def test_rollback_rotate_and_delete_take_it_too(self, world: World) -> None:
        """The same check, the same refusal, and the same arguments that are none."""
        world.stash.generate("n", Password())
        world.stash.generate("n", Password())
        for call in (
            lambda n: world.stash.rollback("n", if_version=n),
            lambda n: world.stash.rotate("n", if_version=n),
            lambda n: world.stash.delete("n", if_version=n),
        ):
            with pytest.raises(ConflictError):
                call(1)
            with pytest.raises(InvalidArgumentError):
                call(False)
        assert world.stash.rotate("n", if_version=2).number == 3
        assert world.stash.rollback("n", if_version=3).number == 4


class TestGet:
    """Which version is meant."""

    def test_by_number_and_by_stage(self, world: World) -> None:
        """current is the default; previous follows every put."""
        for value in (b"1", b"2", b"3"):
            world.stash.put("n", value)
        stash = world.fresh()
        assert [stash.get("n", version=number).value for number in (1, 2, 3)] == [b"1", b"2", b"3"]
        assert stash.get("n").value == stash.get("n", stage="current").value == b"3"
        assert stash.get("n", stage=Stage.PREVIOUS).value == b"2"
        assert stash.get("n", version=2).version.stages == (Stage.PREVIOUS,)
        assert stash.get("n", version=1).version.stages == ()

    def test_an_older_version_takes_two_reads(self, world: World) -> None:
        """Also where what the head is sealed under is not the newest version: both come with the second read."""
        from tests.unit.test_stash_races import stop_rotation

        world.stash.put("n", b"1")
        world.stash.generate("n", Password())
        stop_rotation(world)
        world.stash.abort("n")
        stash = world.fresh(store := CountingStore(world.store))
        assert stash.get("n", version=1).value == b"1"
        assert (store.calls, sorted(store.fetched)) == (["newest", "fetch"], [v(1), v(2)])

    def test_any_two_are_compared(self, world: World) -> None:
        """In the order in which they are named, and whatever is current."""
        for value, comment in ((b"1", "a"), (b"1", "b"), (b"2", "b")):
            world.stash.put("n", value, comment=comment)
        difference = world.fresh().diff("n", 1, 2)
        assert (difference.one.version.number, difference.other.version.number) == (1, 2)
        assert (difference.same_value, difference.changed) == (True, ("comment",))

    def test_what_is_not_there(self, world: World) -> None:
        """A name, a number, a stage: each its own error, which says what there is."""
        with pytest.raises(SecretNotFoundError):
            world.stash.get("n")
        with pytest.raises(SecretNotFoundError):
            world.stash.get("n", version=1)
        world.stash.put("n", b"x")
        with pytest.raises(VersionNotFoundError) as caught:
            world.stash.get("n", version=2)
        assert caught.value.hint == "the newest is version 1"
        for stage in ("previous", "pending"):
            with pytest.raises(VersionNotFoundError, match=f"no {stage} version: version 1 is current"):
                world.stash.get("n", stage=stage)

    @pytest.mark.parametrize(
        "which", [{"version": 0}, {"version": True}, {"version": 10**10}, {"stage": "newest"}, {"stage": ""}]
    )
    def test_what_cannot_be(self, world: World, which: dict[str, object]) -> None:
        """No such number, no such stage."""
        with pytest.raises(InvalidArgumentError):
            world.stash.get("n", **which)  # type: ignore[arg-type]

    def test_a_version_and_a_stage_at_once(self, world: World) -> None:
        """They might disagree."""
        with pytest.raises(InvalidArgumentError):
            world.stash.get("n", version=1, stage="current")


class TestMinVersion:
    """What the caller knows the secret to have reached."""

    def test_a_lower_current_version_is_a_rollback(self, world: World) -> None:
        """Whatever is asked for; a client that has seen nothing cannot know by itself."""
        world.stash.put("n", b"1")
        world.stash.put("n", b"2")
        for which in ({}, {"version": 1}, {"stage": "previous"}):
            assert world.fresh().get("n", min_version=2, **which)  # type: ignore[arg-type]
            with pytest.raises(RollbackError, match="n is at version 2, and version 3 at least was expected"):
                world.fresh().get("n", min_version=3, **which)  # type: ignore[arg-type]

    @pytest.mark.parametrize("number", [0, -1, True, MAX_VERSION + 1])
    def test_it_is_a_version(self, world: World, number: int) -> None:
        """Out of range is refused."""
        with pytest.raises(InvalidArgumentError):
            world.stash.get("n", min_version=number)


class TestRollback:
    """An earlier value again, as a new version."""

    def test_to_the_previous_version(self, world: World) -> None:
        """Twice over is there and back again; content type and context come along, a comment says what happened."""
        world.stash.put("n", b"1", content_type="a/b", context={"k": "v"}, tags={"t": "1"})
        world.stash.put("n", b"2")
        rolled = world.stash.rollback("n")
        assert (rolled.number, rolled.comment) == (3, "rollback to version 1")
        assert (rolled.content_type, dict(rolled.context)) == ("a/b", {"k": "v"})
        assert world.fresh().get("n").value == b"1"
        assert dict(world.fresh().get("n").tags) == {"t": "1"}
        world.stash.rollback("n", comment="back")
        assert world.fresh().get("n").value == b"2"
        assert [version.comment for version in world.stash.history("n")][2:] == ["rollback to version 1", "back"]

    def test_to_a_number(self, world: World) -> None:
        """Any version that exists, but the current one."""
        for value in (b"1", b"2", b"3"):
            world.stash.put("n", value)
        assert world.stash.rollback("n", 1, comment="").comment is None
        assert world.fresh().get("n").value == b"1"
        with pytest.raises(ConflictError, match="current already"):
            world.stash.rollback("n", 4)
        with pytest.raises(VersionNotFoundError):
            world.stash.rollback("n", 9)

    def test_without_anything_to_go_back_to(self, world: World) -> None:
        """One version has no previous one."""
        with pytest.raises(SecretNotFoundError):
            world.stash.rollback("n")
        world.stash.put("n", b"1")
        with pytest.raises(VersionNotFoundError):
            world.stash.rollback("n")


class TestGenerate:
    """Random values, and the policy that the secret keeps."""

    def test_the_policy_is_carried_by_the_secret(self, world: World) -> None:
        """A put keeps it, another generate replaces it."""
        world.stash.generate("n", Password(length=40), comment="c", tags={"a": "b"})
        assert len(world.fresh().get("n").text) == 40
        world.stash.put("n", b"by hand")
        assert world.fresh().policy("n") == Password(length=40)
        world.stash.generate("n", Passphrase())
        assert world.fresh().policy("n") == Passphrase()
        assert world.stash.list()[0].rotation is True

    def test_without_one_there_is_none(self, world: World) -> None:
        """None, and not a default."""
        world.stash.put("n", b"x")
        assert world.stash.policy("n") is None
        assert world.stash.list()[0].rotation is False
        with pytest.raises(SecretNotFoundError):
            world.stash.policy("other")

    def test_no_two_values_are_alike(self, world: World) -> None:
        """Eight values, eight different ones."""
        values = set()
        for _ in range(8):
            world.stash.generate("n", Password())
            values.add(world.stash.get("n").value)
        assert len(values) == 8


def test_tags_stay_until_given_anew(world: World) -> None:
    """None keeps them, an empty mapping clears them."""
    world.stash.put("n", b"1", tags={"a": "1"})
    world.stash.put("n", b"2")
    assert dict(world.fresh().get("n").tags) == {"a": "1"}
    world.stash.put("n", b"3", tags={"b": "2"})
    assert dict(world.stash.list()[0].tags) == {"b": "2"}
    world.stash.put("n", b"4", tags={})
    assert dict(world.fresh().get("n").tags) == {}


class TestWriteOnly:
    """A caller who may not unwrap vouches for nothing that it could not check."""

    def test_what_it_carries_and_what_it_forgets(self, world: World) -> None:
        """Numbers and stages go on; tags, policy, deleted versions, times and unknown attributes begin anew."""
        world.stash.generate("n", Password(), tags={"a": "b"})
        world.stash.put("n", b"2")
        world.stash.delete("n", 1)
        world.clock.advance(3600)
        written = world.fresh().put("n", b"3", write_only=True, comment="blind")
        head = records.decode_head(world.item("n", HEAD))  # type: ignore[arg-type]
        assert (written.number, head.last, head.current, head.previous, head.revision) == (3, 3, 3, 2, 4)
        assert (dict(head.tags), dict(head.rotation), head.disabled) == ({}, {}, frozenset())
        assert head.created_ms == head.updated_ms == world.clock.now()
        assert world.fresh().get("n").value == b"3"
        assert world.fresh().get("n", version=1)

    def test_it_never_unwraps(self, world: World) -> None:
        """Not even to say no."""
        from tests.unit.stash_kit import CountingKeys

        keys = CountingKeys(world.keys)
        stash = world.fresh(keys=keys)
        stash.put("n", b"1", write_only=True)
        stash.put("n", b"2", write_only=True, tags={"new": "tags"})
        with pytest.raises(ConflictError):
            stash.put("n", b"3", write_only=True, if_version=1)
        assert keys.calls == ["generate", "generate"]
        assert dict(world.fresh().get("n").tags) == {"new": "tags"}

    def test_what_stood_unsealed_in_a_head_is_not_sealed_by_it(self, world: World) -> None:
        """A due date for destruction, written by an attacker, must not become authentic."""
        world.stash.put("n", b"1")
        world.edit(
            "n", HEAD, purge_at={"N": "1"}, deleted_at={"N": "1"}, tags={"M": {"evil": {"S": "x"}}},
            created_at={"N": "1"}, strange={"S": "x"}, disabled={"NS": ["1"]},
        )  # fmt: skip
        world.fresh().put("n", b"2", write_only=True)
        item = world.item("n", HEAD)
        assert not {"purge_at", "deleted_at", "tags", "strange", "disabled"} & item.keys()
        assert item["created_at"] != {"N": "1"}
        assert world.fresh().get("n").value == b"2"

    def test_it_is_refused_where_put_is(self, world: World) -> None:
        """Deleted stays deleted, pending stays pending."""
        world.stash.put("n", b"1")
        world.stash.delete("n")
        with pytest.raises(SecretDeletedError):
            world.stash.put("n", b"2", write_only=True)


def forge_newest(world: World, name: str, number: int, **head: object) -> None:
    """A secret that is genuine and already far along: whoever holds the key can make one."""
    metadata = VersionMetadata(name=name, number=number, created_ms=1, created_by="x")
    data_key, wrapped = world.keys.generate(Context(world.environment, name, number))
    item, keys = envelope.seal_version(world.environment, metadata, Plaintext(b"far"), data_key, wrapped)
    usual = {"last": number, "revision": number, "pruned_below": number, "current": number}
    made = Head(name=name, state=State.ACTIVE, created_ms=1, updated_ms=1, updated_by="x", **usual | head)  # type: ignore[arg-type]
    world.write(item)
    world.write(envelope.seal_head(world.environment, made, keys))


def test_the_last_version_number_is_the_last(world: World) -> None:
    """9,999,999,998 is followed by 9,999,999,999, and that by nothing: an eleventh digit would sort wrongly."""
    world.stash.put("other", b"")
    forge_newest(world, "n", MAX_VERSION - 1)
    assert world.stash.put("n", b"last").number == MAX_VERSION
    assert world.fresh().get("n", version=MAX_VERSION).value == b"last"
    for call in (
        lambda: world.stash.put("n", b"x"),
        lambda: world.fresh().put("n", b"x", write_only=True),
        lambda: world.stash.rotate("n", policy=Password()),
    ):
        with pytest.raises(InvalidArgumentError, match="used up"):
            call()
    assert world.fresh().get("n").value == b"last"


def test_a_number_is_never_used_again(world: World) -> None:
    """Three puts, the newest erased behind the stash's back: no third version is ever made twice."""
    from dynastash.errors import IntegrityError

    for value in (b"1", b"2", b"3"):
        world.stash.put("n", value)
    world.drop("n", v(3))
    for stash in (world.stash, world.fresh()):
        for call in (
            lambda stash=stash: stash.get("n"),
            lambda stash=stash: stash.put("n", b"again"),
            lambda stash=stash: stash.put("n", b"again", write_only=True),
            lambda stash=stash: stash.history("n"),
        ):
            with pytest.raises(IntegrityError):
                call()
    assert world.records("n") == [v(1), v(2), HEAD]


def test_nothing_shows_a_value(world: World) -> None:
    """repr, str and format of everything that the stash hands out."""
    world.stash.put("n", "hunter2-hunter2", comment="c")
    secret = world.stash.get("n")
    shown = [world.stash, secret, secret.version, secret.plaintext, world.stash.list(), world.stash.history("n")]
    for thing in (*shown, world.stash.get_many(["n"]), world.store, world.keys):
        assert "hunter2" not in f"{thing!r} {thing!s} {thing}"
    assert repr(world.stash) == f"<Stash prod: {world.path}>"
    assert (world.stash.where, world.stash.key) == (str(world.path), "the test's key")


def test_an_environment_has_a_proper_name(world: World) -> None:
    """It goes into every encryption context."""
    with pytest.raises(InvalidNameError):
        world.fresh(environment="Prod!")


def test_a_real_clock_is_the_default(world: World) -> None:
    """Without one given, time is the machine's."""
    from dynastash.stash.api import Stash

    before = datetime.now(UTC) - timedelta(seconds=1)
    created = Stash("prod", world.store, world.keys, identity=lambda: "x").put("n", b"").created_at
    assert before <= created <= datetime.now(UTC) + timedelta(seconds=1)

"""Credentials that expire: when they are renewed, by whom, and what happens when that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from dynastash.aws.direct.credentials.base import Fixed, Lease
from dynastash.aws.direct.credentials.renewing import ADVISORY, MANDATORY, Renewing
from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.signing import Credentials
from dynastash.errors import CredentialsError

HOUR = 3600.0


class World:
    """A clock, and a source that gives numbered credentials or fails."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.fetched = 0
        self.fails = False
        self.lasting = HOUR
        self.asked_boto = 0
        self.during: Callable[[], object] = lambda: None
        self.source = Renewing(self._fetch, self._otherwise, now=lambda: self.now)

    def _fetch(self) -> Lease:
        self.fetched += 1
        self.during()
        if self.fails:
            raise HandOver("no answer")
        return Lease(Credentials(f"key-{self.fetched}", "made-up", None), self.now + self.lasting, "123456789012")

    def _otherwise(self) -> Any:
        self.asked_boto += 1
        return Fixed(Credentials("key-boto", "made-up", None))

    @property
    def key(self) -> str:
        return self.source.get().access_key


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_is_fetched_before_it_is_needed(world: World) -> None:
    assert world.fetched == 0
    assert [world.key, world.key] == ["key-1", "key-1"]
    assert world.source.account() == "123456789012"
    assert world.fetched == 1


def test_they_are_renewed_a_quarter_of_an_hour_before_they_expire(world: World) -> None:
    assert world.key == "key-1"
    world.now += HOUR - ADVISORY
    assert world.key == "key-1"
    world.now += 1
    assert world.key == "key-2"
    assert (world.fetched, world.asked_boto) == (2, 0)


def test_a_failure_in_good_time_is_tolerated_and_not_repeated_at_once(world: World) -> None:
    assert world.key == "key-1"
    world.now += HOUR - ADVISORY + 1
    world.fails = True
    assert [world.key, world.key, world.key] == ["key-1"] * 3
    assert world.fetched == 2
    world.now += 30
    assert world.key == "key-1"
    assert (world.fetched, world.asked_boto) == (3, 0)
    world.now += 30
    world.fails = False
    assert world.key == "key-4"


def test_ten_minutes_before_boto3_is_asked_where_it_fails(world: World) -> None:
    assert world.key == "key-1"
    world.fails = True
    world.now += HOUR - MANDATORY + 1
    assert [world.key, world.key] == ["key-boto", "key-boto"]
    assert (world.fetched, world.asked_boto) == (2, 1)
    assert world.source.account() is None


def test_a_failure_just_before_does_not_put_off_what_must_be(world: World) -> None:
    assert world.key == "key-1"
    world.fails = True
    world.now += HOUR - MANDATORY - 1
    assert world.key == "key-1"
    world.now += 2
    assert world.key == "key-boto"


def test_a_first_failure_is_for_boto3(world: World) -> None:
    world.fails = True
    assert world.key == "key-boto"
    assert world.asked_boto == 1


def test_they_never_expire_in_silence(world: World) -> None:
    def refuse() -> Any:
        raise CredentialsError("the AWS credentials have expired", hint="sign in again")

    world.source = Renewing(world._fetch, refuse, now=lambda: world.now)
    assert world.key == "key-1"
    world.fails = True
    world.now += 2 * HOUR
    for _ in range(2):
        with pytest.raises(CredentialsError, match="have expired"):
            world.source.get()
    world.fails = False
    assert world.key == "key-4"


def test_what_has_expired_when_it_comes_is_not_used(world: World) -> None:
    world.lasting = 0.0
    assert world.key == "key-boto"


def test_short_lived_ones_are_used_and_not_asked_for_at_every_call(world: World) -> None:
    world.lasting = 120.0
    assert [world.key for _ in range(5)] == ["key-1"] * 5
    world.now += 31
    assert world.key == "key-2"
    world.lasting = 20.0
    world.now += 31
    assert world.key == "key-3"
    world.now += 21  # sooner than the pause, but they are no good any more
    assert world.key == "key-4"


def test_credentials_without_an_expiry_stay(world: World) -> None:
    world.source = Renewing(lambda: Lease(Credentials("key", "made-up", None)), world._otherwise, now=lambda: world.now)
    assert world.key == "key"
    world.now += 1e9
    assert (world.key, world.asked_boto) == ("key", 0)


def test_one_thread_renews_while_the_others_go_on_with_the_old(world: World) -> None:
    assert world.key == "key-1"
    world.now += HOUR - ADVISORY + 1
    renewing, finish = threading.Event(), threading.Event()
    world.during = lambda: (renewing.set(), finish.wait(30))
    renewer = threading.Thread(target=world.source.get)
    renewer.start()
    assert renewing.wait(30)
    assert [world.key, world.key] == ["key-1", "key-1"]
    finish.set()
    renewer.join()
    assert (world.key, world.fetched) == ("key-2", 2)


@pytest.mark.parametrize("left", [MANDATORY - 1, 0.0, -1.0, None])
def test_all_wait_for_one_where_the_old_will_not_do(world: World, left: float | None) -> None:
    if left is not None:
        assert world.key == "key-1"
        world.now += HOUR - left
    before = world.fetched
    renewing, finish = threading.Event(), threading.Event()
    world.during = lambda: (renewing.set(), finish.wait(30))
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(world.key)) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert renewing.wait(30)
    assert keys == []
    finish.set()
    for thread in threads:
        thread.join()
    assert keys == [f"key-{before + 1}"] * 8
    assert world.fetched == before + 1


def test_an_account_that_is_no_number_is_refused() -> None:
    for account in ("", "me", "12345678901", "12345678901a", "１２３４５６７８９０１２", "evil.example.com"):
        with pytest.raises(HandOver):
            Lease(Credentials("key", "made-up", None), account=account)

"""The checker accepts what can be, and refuses what cannot: histories made by hand, and real ones falsified."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.history.checker import Verdict, check
from tests.history.operations import Operation
from tests.history.specification import State, step


def operation(
    invoked: int, returned: int | None, kind: str, given: Any = None, ok: Any = None, **more: Any
) -> Operation:
    """One line of a history. ``ok`` is the result; ``refused=`` an error; neither means that there was no end."""
    refused = more.pop("refused", None)
    outcome = {"refused": refused} if refused else {"ok": ok} if ok is not None else None
    if kind == "put":
        given = {"if_version": None, "recreate": False, **(given or {})}
    process = more.pop("process", f"p{invoked}")
    return Operation(
        process=process,
        secret="s",
        kind=kind,
        arguments=given or {},
        invoked=invoked,
        returned=None if outcome is None else returned,
        outcome=outcome,
    )


def put(invoked: int, returned: int | None, value: str, version: int | None, **given: Any) -> Operation:
    """A put; without a version it has no end."""
    return operation(
        invoked, returned, "put", {"value": value, **given}, None if version is None else {"version": version}
    )


def get(invoked: int, returned: int, version: int, value: str) -> Operation:
    """A get of the current version."""
    return operation(invoked, returned, "get", None, {"version": version, "value": value})


def info(state: str, current: int, last: int) -> dict[str, Any]:
    """What delete and its like return."""
    return {"state": state, "current": current, "last": last}


def verdict(*history: Operation) -> Verdict:
    """Of one secret's history."""
    (found,) = check(history)
    return found


A, B = put(0, 10, "a", 1), put(20, 30, "b", 2)

GOOD: dict[str, Sequence[Operation]] = {
    "one after the other": [A, get(11, 12, 1, "a"), B, get(31, 32, 2, "b")],
    "a read beside a write sees the one": [A, B, get(25, 40, 1, "a")],
    "a read beside a write sees the other": [A, B, get(25, 40, 2, "b")],
    "writes beside each other in either order": [put(0, 10, "a", 2), put(0, 10, "b", 1), get(11, 12, 2, "a")],
    "a killed write that happened": [A, put(20, None, "b", None), get(31, 32, 2, "b")],
    "a killed write that did not": [A, put(20, None, "b", None), get(31, 32, 1, "a")],
    "a killed write that happened late": [A, put(20, None, "b", None), get(31, 32, 1, "a"), get(33, 34, 2, "b")],
    "a killed write whose number tells": [A, put(20, None, "b", None), put(31, 32, "c", 3)],
    "a refusal that is right": [A, operation(20, 30, "put", {"value": "b", "if_version": 0}, refused="ConflictError")],
    "deleted and back": [
        A,
        operation(11, 12, "delete", None, info("deleted", 1, 1)),
        operation(13, 14, "get", refused="SecretDeletedError"),
        operation(15, 16, "undelete", None, info("active", 1, 1)),
        get(17, 18, 1, "a"),
    ],
    "destroyed and begun anew": [
        A,
        operation(11, 12, "destroy", None, info("destroyed", 0, 1)),
        operation(13, 14, "get", refused="SecretDestroyedError"),
        put(15, 16, "b", 2, recreate=True),
        operation(17, 18, "get version", {"version": 1}, refused="VersionNotFoundError"),
    ],
    "rotated": [
        A,
        operation(11, 12, "begin rotation", None, {"version": 1, "value": "a"}),
        operation(13, 14, "stage", {"value": "b", "current": 1}, {"version": 2}),
        get(15, 16, 1, "a"),
        operation(17, 18, "put", {"value": "c"}, refused="ConflictError"),
        operation(19, 20, "promote", {"version": 2}, {}),
        get(21, 22, 2, "b"),
        operation(23, 24, "get previous", None, {"version": 1, "value": "a"}),
    ],
    "pruned": [
        A,
        B,
        put(40, 41, "c", 3),
        operation(42, 43, "prune", {"keep": 1}, {"versions": [1]}),
        operation(44, 45, "get version", {"version": 1}, refused="VersionNotFoundError"),
    ],
    "a killed prune": [
        A,
        B,
        put(40, 41, "c", 3),
        operation(42, None, "prune", {"keep": 1}),
        operation(44, 45, "get version", {"version": 1}, None, refused="VersionNotFoundError"),
        operation(46, 47, "get version", {"version": 2}, {"version": 2, "value": "b"}),
    ],
}

BAD: dict[str, Sequence[Operation]] = {
    "a stale read": [A, B, get(31, 32, 1, "a")],
    "a read that goes back": [A, B, get(21, 25, 2, "b"), get(26, 40, 1, "a")],
    "a read of what was not written yet": [A, get(11, 12, 2, "b"), B],
    "a read of what nobody wrote": [A, get(11, 12, 1, "x")],
    "another version's value": [A, B, get(31, 32, 2, "a")],
    "another value under an old number": [
        A,
        B,
        operation(31, 32, "get version", {"version": 1}, {"version": 1, "value": "b"}),
    ],
    "a lost write": [A, B, operation(31, 32, "get version", {"version": 2}, refused="VersionNotFoundError")],
    "a lost secret": [A, operation(11, 12, "get", refused="SecretNotFoundError")],
    "a number used twice": [A, put(20, 30, "b", 1)],
    "a number used twice at once": [put(0, 10, "a", 1), put(0, 10, "b", 1)],
    "a number left out": [A, put(20, 30, "b", 3)],
    "a killed write that happened and did not": [
        A,
        put(20, None, "b", None),
        get(31, 32, 2, "b"),
        get(33, 34, 1, "a"),
    ],
    "a killed write that happened twice": [A, put(20, None, "b", None), get(31, 32, 2, "b"), put(40, 41, "c", 4)],
    "a refused write that happened": [
        A,
        operation(20, 30, "put", {"value": "b", "if_version": 0}, refused="ConflictError"),
        get(31, 32, 2, "b"),
    ],
    "two winners of one comparison": [A, put(20, 30, "b", 2, if_version=1), put(20, 30, "c", 3, if_version=1)],
    "a refusal without a reason": [
        A,
        operation(20, 30, "put", {"value": "b", "if_version": 1}, refused="ConflictError"),
    ],
    "read though deleted": [A, operation(11, 12, "delete", None, info("deleted", 1, 1)), get(13, 14, 1, "a")],
    "read though destroyed": [A, operation(11, 12, "destroy", None, info("destroyed", 0, 1)), get(13, 14, 1, "a")],
    "destroyed and its numbers used again": [
        A,
        operation(11, 12, "destroy", None, info("destroyed", 0, 1)),
        put(15, 16, "b", 1, recreate=True),
    ],
    "deleted, and shown as active": [A, operation(11, 12, "delete", None, info("active", 1, 1))],
    "a pending version that is current": [
        A,
        operation(13, 14, "stage", {"value": "b", "current": 1}, {"version": 2}),
        get(15, 16, 2, "b"),
    ],
    "put through a pending rotation": [
        A,
        operation(13, 14, "stage", {"value": "b", "current": 1}, {"version": 2}),
        put(15, 16, "c", 3),
    ],
    "a promotion that is lost": [
        A,
        operation(13, 14, "stage", {"value": "b", "current": 1}, {"version": 2}),
        operation(17, 18, "promote", {"version": 2}, {}),
        get(21, 22, 1, "a"),
    ],
    "the previous version pruned": [A, B, operation(42, 43, "prune", {"keep": 1}, {"versions": [1]})],
    "pruned, and still there": [
        A,
        B,
        put(40, 41, "c", 3),
        operation(42, 43, "prune", {"keep": 1}, {"versions": [1]}),
        operation(44, 45, "get version", {"version": 1}, {"version": 1, "value": "a"}),
    ],
    "more pruned than was said": [
        A,
        B,
        put(40, 41, "c", 3),
        put(42, 43, "d", 4),
        operation(44, 45, "prune", {"keep": 1}, {"versions": [1]}),
        operation(46, 47, "get version", {"version": 2}, refused="VersionNotFoundError"),
    ],
    "an error that nobody may see": [A, operation(11, 12, "get", refused="IntegrityError: a record was changed")],
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_is_accepted(name: str) -> None:
    """In any order of writing it down."""
    for seed in range(5):
        history = list(GOOD[name])
        random.Random(seed).shuffle(history)
        assert verdict(*history).linearizable is True


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused(name: str) -> None:
    """And the verdict shows operations that do not fit."""
    found = verdict(*BAD[name])
    assert found.linearizable is False
    assert found.stuck
    assert "not linearizable" in str(found)


def test_secrets_are_checked_one_by_one() -> None:
    """One that is wrong does not hide behind one that is right."""
    other = [replace(one, secret="other") for one in BAD["a stale read"]]
    assert [found.linearizable for found in check([*GOOD["rotated"], *other])] == [False, True]


def test_a_search_that_is_given_up_is_no_acceptance() -> None:
    """Undecided is neither."""
    history = [put(0, None, f"open {number}", None) for number in range(12)]
    history += [put(1, 9, "a", 1), put(10, 11, "b", 30)]
    (found,) = check(history, limit=50)
    assert found.linearizable is None
    assert "undecided" in str(found)


def _brute(history: Sequence[Operation]) -> bool:
    """By trying every order and every choice of what did not happen: slow, and plainly right."""
    ended = [one for one in history if one.outcome is not None]
    unended = [one for one in history if one.outcome is None]
    return any(
        _possible(order)
        for count in range(len(unended) + 1)
        for chosen in itertools.combinations(unended, count)
        for order in itertools.permutations([*ended, *chosen])
    )


def _possible(order: Sequence[Operation]) -> bool:
    for number, one in enumerate(order):
        if any(later.returned is not None and later.returned < one.invoked for later in order[number + 1 :]):
            return False
    states: Iterable[State] = [State()]
    for one in order:
        states = [after for state in states for after in step(state, one)]
    return bool(states)


def _made_up(chance: random.Random, number: int) -> Operation:
    """A write or a read at a random time, with an outcome that a secret may have or not."""
    invoked = chance.randint(0, 12)
    returned = invoked + chance.randint(1, 8)
    version, value = chance.randint(1, 3), f"v{chance.randint(1, 3)}"
    found = {"version": version, "value": value}
    written = {"value": f"v{number}", "if_version": version}
    return chance.choice(
        [
            put(invoked, returned, f"v{number}", version),
            put(invoked, returned, f"v{number}", number),
            put(invoked, None, f"v{number}", None),
            get(invoked, returned, version, value),
            operation(invoked, returned, "get version", {"version": version}, found),
            operation(invoked, returned, "delete", None, info("deleted", version, version)),
            operation(invoked, returned, "get", refused="SecretNotFoundError"),
            operation(invoked, returned, "put", written, refused="ConflictError"),
        ]
    )


def test_it_agrees_with_trying_everything() -> None:
    """On short histories, of which some can be and most cannot."""
    chance = random.Random(7)
    agreed = {True: 0, False: 0}
    for _ in range(1500):
        history = [_made_up(chance, number) for number in range(1, chance.randint(3, 6))]
        expected = _brute(history)
        assert verdict(*history).linearizable is expected, "\n".join(map(str, history))
        agreed[expected] += 1
    assert min(agreed.values()) > 100

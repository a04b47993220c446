"""Each operation of the stash, with each fault, at each request that it makes.

A call ends with its true result, or with an error of ours within its deadline; never with a wrong value, a version too
many, or a write that was acknowledged and is lost. What the engine holds afterwards is read without the proxy.

The operation is first run without a fault: its result and the states that the table goes through are the reference. The
whole matrix has about 6,300 cases. By default each pair of operation and fault is tried at one of its requests (about
1,200 cases); ``DYNASTASH_FAULTS=all`` tries all of them.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from dynastash.errors import DynastashError, PartialError
from tests.faults.operations import OPERATIONS
from tests.faults.proxy import Disturbance, Exchange
from tests.faults.site import Place, Site, State
from tests.faults.troubles import ALL, FAULTS, KMS, WRITES, End, Fault

pytestmark = pytest.mark.engine

WHOLE = os.environ.get("DYNASTASH_FAULTS") == "all"
DEADLINE = 30.0 + 4 * 1.0
"""Seconds: the patience of one call, and its last pause as the hurried clock counts it."""

LEFT = {"destroy": "left over from an interrupted erasure", "import sealed": "the version is missing"}
"""What verify finds where an operation of several changes was interrupted, until it is repeated."""

Case = tuple[str, str]
"""Operation and fault."""

CASES: Sequence[Case] = [
    (operation, fault)
    for operation, definition in OPERATIONS.items()
    for fault, trouble in FAULTS.items()
    if definition.requests & trouble.operations
]


@dataclass(frozen=True)
class Reference:
    """A run without faults: its result, the states before it and after each of its writes, and its requests."""

    result: object
    states: Sequence[State]
    requests: Mapping[str, int]

    def places(self, case: Case) -> list[tuple[str, int]]:
        """The requests to which the fault can happen, each the ``n``-th of its kind; or the one of the sample."""
        kinds = sorted(self.requests.keys() & FAULTS[case[1]].operations)
        places = [(kind, number) for kind in kinds for number in range(1, self.requests[kind] + 1)]
        return places if WHOLE else [places[zlib.crc32(" ".join(case).encode()) % len(places)]]


@pytest.fixture(scope="session")
def references() -> dict[str, Reference]:
    """By operation; filled when needed."""
    return {}


@pytest.fixture
def site_of(request: pytest.FixtureRequest) -> Callable[[str], Site]:
    """The environment in which an operation runs."""
    return lambda operation: request.getfixturevalue("site_with_moto" if OPERATIONS[operation].moto else "site")


@pytest.fixture
def reference(references: dict[str, Reference], site_of: Callable[[str], Site]) -> Callable[[str], Reference]:
    """The run of an operation without faults."""

    def find(operation: str) -> Reference:
        if operation not in references:
            references[operation] = _observed(operation, site_of(operation))
        return references[operation]

    return find


def _observed(operation: str, site: Site) -> Reference:
    place = site.place(empty=OPERATIONS[operation].empty)
    states = [place.state()]

    def observe(exchange: Exchange) -> None:
        reply = exchange.forward()
        states.append(place.state())
        exchange.answer(reply)

    site.proxy.begin(*(Disturbance(request, 1, observe, forever=True) for request in WRITES))
    result = OPERATIONS[operation].run(place.stash(), site)
    requests = dict(site.proxy.requests)
    site.proxy.begin()
    site.demolish(place)
    return Reference(result, states, requests)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_requests_of_an_operation(operation: str, reference: Callable[[str], Reference]) -> None:
    """They are of the kinds that the matrix is made of: no request escapes it."""
    assert reference(operation).requests.keys() == OPERATIONS[operation].requests
    assert OPERATIONS[operation].requests <= ALL


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_fault(case: Case, site_of: Callable[[str], Site], reference: Callable[[str], Reference]) -> None:
    """One fault at one request of one operation; or at each of them, one after the other."""
    operation, named = case
    expected = reference(operation)
    wrong: list[str] = []
    for kind, number in expected.places(case):
        try:
            _one_fault(operation, FAULTS[named], kind, number, site_of(operation), expected)
        except AssertionError as error:
            wrong.append(f"at {kind} {number}: {error}")
    assert not wrong


def _one_fault(operation: str, fault: Fault, kind: str, number: int, site: Site, expected: Reference) -> None:
    place = site.place(empty=OPERATIONS[operation].empty)
    stash = place.stash(patient=not fault.impatient)
    site.proxy.begin(Disturbance(kind, number, fault.trouble, fault.forever))
    error: DynastashError | None = None
    result: object = None
    try:
        result = OPERATIONS[operation].run(stash, site)
    except DynastashError as raised:
        error = raised
    finally:
        struck = site.proxy.struck
        site.proxy.begin()
    assert struck > 0
    assert place.clock.longest <= DEADLINE
    if error is None:
        assert fault.end is not End.ERROR, f"the call must not succeed: {result}"
        assert result == expected.result
        assert place.state() == expected.states[-1]
    else:
        assert fault.end is not End.RESULT or _gives_up(operation, fault), f"one fault must not show: {error!r}"
        assert any(isinstance(one, fault.expected("kms" if kind in KMS else "dynamodb")) for one in _chain(error))
        _check_said(error, place, expected, number if kind in WRITES else None)
    assert_sound(place, left=LEFT.get(operation) if error is not None else None)
    site.demolish(place)


def _gives_up(operation: str, fault: Fault) -> bool:
    """A restore into an empty store meets nobody: where it meets a transaction, it stops, and can be repeated."""
    return operation == "import sealed" and fault is FAULTS["transaction conflict"]


def _check_said(error: DynastashError, place: Place, expected: Reference, write: int | None) -> None:
    """One line; the table is where the operation may stop; and a write that may have been made is told."""
    assert str(error) and "\n" not in str(error)
    state = place.state()
    assert state in expected.states
    if write is not None and expected.states.index(state) >= write:  # the write whose reply was lost
        assert "may have been made" in str(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it stands for, and what it came of."""
    if isinstance(error, PartialError):
        yield from error.failures.values()
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__


def assert_sound(place: Place, *, left: str | None = None) -> None:
    """Verify finds nothing; where an operation of several changes was interrupted, at most what that leaves."""
    for finding in place.findings():
        assert left is not None and left in finding.message, finding


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        (operation, kind)
        for operation in ("put", "get many", "rotate", "verify", "list verified")
        for kind in sorted(KMS & OPERATIONS[operation].requests)
    ],
)
def test_the_key_is_disabled_between_two_requests(
    operation: str, kind: str, site: Site, reference: Callable[[str], Reference]
) -> None:
    """Really: the engine refuses. The call says which key and why, and once it is enabled again, goes through."""
    definition, expected = OPERATIONS[operation], reference(operation)
    client = site.kms.client("kms")

    def disable(exchange: Exchange) -> None:
        client.disable_key(KeyId=site.key)
        exchange.answer(exchange.forward())

    place = site.place()
    site.proxy.begin(Disturbance(kind, expected.requests[kind], disable))
    try:
        with pytest.raises(DynastashError) as caught:
            definition.run(place.stash(), site)
        assert any("is disabled" in str(one) for one in _chain(caught.value))
    finally:
        client.enable_key(KeyId=site.key)
        site.proxy.begin()
    assert place.state() in expected.states[:2]
    assert_sound(place)
    if place.state() == expected.states[0]:
        assert definition.run(place.stash(), site) == expected.result
    site.demolish(place)

"""What is wrong with an environment, and the next step: one check after the other, none of which changes anything.

:func:`diagnose` yields a :class:`Check` at a time. A check that fails, hangs or is denied stops none of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dynastash.clock import Clock, SystemClock
from dynastash.config import LOCAL, Environment
from dynastash.doctor.check import Check, Outcome, Probe, Status, ok, run, skipped
from dynastash.doctor.permissions import NEEDS, PROBE

if TYPE_CHECKING:
    from dynastash.aws.clients import Clients

__all__ = ["NEEDS", "PROBE", "TIMEOUT", "Check", "Status", "diagnose"]

TIMEOUT = 5.0
"""Seconds for connecting to AWS, and for reading an answer."""


def diagnose(
    resolve: Callable[[], Environment],
    *,
    make_clients: Callable[[Environment], Clients],
    name: str | None = None,
    need: frozenset[str] = frozenset(("read",)),
    key_text: str | None = None,
    clock: Clock | None = None,
) -> Iterator[Check]:
    """Check the environment that ``resolve`` gives.

    ``name`` is a secret to ask permissions about, which need not exist; ``need`` are those of :data:`NEEDS` whose lack
    for that secret is a failure. ``key_text`` is an embedded environment's key where it does not stand in a file.
    """
    found: list[Environment] = []

    def configuration() -> Outcome:
        environment = resolve()
        found.append(environment)
        where = "built in" if environment.source == "default" else f"defined in {environment.source}"
        other = "; -e NAME looks at another" if environment.name == LOCAL else ""
        return ok(f"environment {environment.name} on {_PLACES[environment.store]}, {where}{other}")

    from dynastash.doctor.account import versions

    yield from run([Probe("versions", versions), Probe("configuration", configuration)])
    if not found:
        return
    environment = found[0]
    if environment.store == "sqlite":
        yield from run(_here(environment, key_text))
    else:
        yield from run(_on_aws(environment, make_clients, name, need, clock or SystemClock()))


_PLACES = {"sqlite": "this machine", "dynamodb": "AWS"}


def _here(environment: Environment, key_text: str | None) -> list[Probe]:
    from dynastash.doctor.local import Local, state_file

    local = Local(environment, key_text)
    return [
        Probe("directory", local.directory),
        Probe("store", local.store, unless=("directory",)),
        Probe("integrity", local.integrity, unless=("directory",), limit=60.0),
        Probe("key", local.key, unless=("directory", "store")),
        Probe("space", local.space),
        Probe("state", lambda: state_file(environment.state, environment.name)),
    ]


def _on_aws(
    environment: Environment,
    make_clients: Callable[[Environment], Clients],
    name: str | None,
    need: frozenset[str],
    clock: Clock,
) -> list[Probe]:
    from dynastash.doctor.account import Account, replica
    from dynastash.doctor.key import Key
    from dynastash.doctor.local import state_file
    from dynastash.doctor.permissions import Permissions
    from dynastash.doctor.stack import stack
    from dynastash.doctor.table import Table

    account = Account(environment, lambda: make_clients(environment), clock)
    table, key = Table(account), Key(account)
    permissions = Permissions(account, name, need)
    caller = ("region", "credentials")

    def replicated() -> Outcome:
        if environment.aws.read_region is None:
            return skipped("no read_region is set")
        from dynastash.aws.choose import elsewhere
        from dynastash.frozen import replace

        return replica(account, make_clients(replace(environment, aws=elsewhere(environment.aws))))

    shape = ("table",)
    usable = ("identity", "table", "key schema", "key")
    return [
        Probe("region", account.region),
        Probe("credentials", account.credentials, limit=60.0),  # somebody may be asked for an MFA code
        Probe("identity", account.identity, needs=caller),
        Probe("clock", account.clock, needs=caller),
        Probe("stack", lambda: stack(account), needs=caller, unless=("identity",)),
        Probe("table", table.exists, needs=caller, unless=("identity",)),
        Probe("key schema", table.key_schema, needs=shape),
        Probe("index", table.index, needs=("key schema",)),
        Probe("deletion protection", table.deletion_protection, needs=("key schema",)),
        Probe("recovery", table.recovery, needs=caller, unless=("identity", "table", "key schema")),
        Probe("time to live", table.time_to_live, needs=caller, unless=("identity", "table", "key schema")),
        Probe("encryption", table.encryption, needs=("key schema",)),
        Probe("billing", table.billing, needs=("key schema",)),
        Probe("key", key.usable, needs=caller, unless=("identity",)),
        Probe("key rotation", key.rotation, needs=("key",)),
        Probe("key policy", key.policy, needs=("key",)),
        Probe("read", permissions.read, needs=caller, unless=usable),
        Probe("list", permissions.listing, needs=caller, unless=usable),
        Probe("write", permissions.write, needs=caller, unless=usable),
        Probe("rotate", permissions.rotate, needs=caller, unless=usable),
        Probe("replica", replicated, needs=caller, unless=("identity",)),
        Probe("state", lambda: state_file(environment.state, environment.name)),
    ]

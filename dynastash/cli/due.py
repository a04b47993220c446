"""What is to be rotated when somebody can no longer read it: the secrets, each with its command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from dynastash.cli.output import counted, say, write_text
from dynastash.errors import DynastashError

if TYPE_CHECKING:
    from dynastash.aws.clients import Clients
    from dynastash.cli.options import Settings
    from dynastash.config import Environment
    from dynastash.models import SecretInfo
    from dynastash.policy.document import Target
    from dynastash.policy.evaluator import Verdict
    from dynastash.policy.names import Pattern

SHOWN: Final = {"allowed": "yes", "denied": "no", "cannot say": "cannot say"}
"""How a verdict is shown."""


def due_of(
    settings: Settings, clients: Clients, target: Target, role: str, patterns: Sequence[Pattern]
) -> list[tuple[SecretInfo, Verdict | None]]:
    """The secrets that the role could read by what it lost, each with whether it still can; None where that is open."""
    from dynastash.access import account, readers

    try:
        listed = [info for info in settings.stash().list() if info.state != "destroyed"]
    except DynastashError as error:
        say(f"warning: the secrets cannot be listed: {error}")
        say(f"hint: rotate everything under {', '.join(map(str, patterns))}")
        return []
    lost = [info for info in listed if any(_covers(each, info.name) for each in patterns)]
    try:
        principal = account.one(clients, role)
        keys = readers.keys_of(target, clients)
    except DynastashError as error:
        say(f"warning: whether other policies still let the role read cannot be told: {error}")
        return [(info, None) for info in lost]
    return [(info, readers.rights(principal, target, keys, info.name).opens) for info in lost]


def _covers(pattern: Pattern, name: str) -> bool:
    return pattern.text == name or (pattern.prefix is not None and name.startswith(pattern.prefix))


def _rotate(environment: Environment, info: SecretInfo) -> str:
    return f"dynastash rotate {info.name} -e {environment.name}" + ("" if info.rotation else " -- PROGRAM")


def print_due(environment: Environment, due: list[tuple[SecretInfo, Verdict | None]]) -> None:
    """Print the commands that are due, and say what else there is to it."""
    for info, still in due:
        write_text(_rotate(environment, info) + "\n")
        if still is not None and still.truth is not False:
            may = "can" if still.truth else "may"
            say(f"warning: the role {may} still read {info.name} through another policy or grant")
    if due:
        say(f"{counted(len(due), 'secret')} that the role could read: rotate each")


def due_data(info: SecretInfo, still: Verdict | None) -> dict[str, Any]:
    """One of them for machines."""
    return {
        "name": info.name,
        "version": info.current,
        "rotation": info.rotation,
        "still_readable": None if still is None else SHOWN[str(still)],
    }

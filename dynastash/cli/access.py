"""``dynastash grant``, ``dynastash revoke`` and ``dynastash access``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dynastash.cli.asking import agree
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.options import PlainText, SecretName, Settings, Usage, common, dry_run, yes
from dynastash.cli.output import counted, emit, emit_table, say, visible, write_text
from dynastash.errors import ConfigError, DynastashError

if TYPE_CHECKING:
    from dynastash.access.grants import Change
    from dynastash.access.readers import Rights
    from dynastash.aws.clients import Clients
    from dynastash.config import Environment
    from dynastash.models import SecretInfo
    from dynastash.policy.document import Target
    from dynastash.policy.evaluator import Verdict
    from dynastash.policy.names import Pattern

_F = TypeVar("_F", bound=Callable[..., Any])
_SHOWN: Final = {"allowed": "yes", "denied": "no", "cannot say": "cannot say"}
_CHANGED: Final = "changed the policy {policy} of the role {role}"
_UNSEEN: Final = (
    "service control policies, session policies, VPC endpoints' policies, a resource policy on the table, and the "
    "account's root user"
)


def _purpose(command: _F) -> _F:
    return click.option(
        "--purpose",
        cls=OwnOption,
        type=PlainText(),
        metavar="NAME",
        help="The inline policy dynastash-ENV-NAME instead of dynastash-ENV.",
    )(command)


def _patterns(option: str, help_text: str) -> Callable[[_F], _F]:
    return click.option(option, cls=OwnOption, type=PlainText(), multiple=True, metavar="NAMES", help=help_text)


@click.command(
    "grant",
    cls=Command,
    examples=(
        "dynastash grant app1-role --read 'app1/*' -e prod",
        "dynastash grant app1-deployer --read 'app1/*' --write app1/db/password -e prod",
    ),
)
@click.argument("role")
@_patterns("--read", "May read these: app1/*, app1/db/password, or * for all.")
@_patterns("--write", "May put these, and read them.")
@_patterns("--write-only", "May put these, and not read them.")
@_patterns("--rotate", "May rotate, destroy and prune these, put and read them.")
@click.option("--replace", cls=OwnOption, is_flag=True, help="Instead of what the policy grants already.")
@_purpose
@dry_run
@yes
@common
def grant_command(
    settings: Settings,
    role: str,
    read: tuple[str, ...],
    write: tuple[str, ...],
    write_only: tuple[str, ...],
    rotate: tuple[str, ...],
    replace: bool,
    purpose: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Let ROLE use secrets: attach the least policy, or add to it.

    An inline policy of the role, named after the environment. It is shown first, and asked for. What is granted already
    stays; the same command again changes nothing.
    """
    from dynastash.access.grants import Grants
    from dynastash.policy.document import Access
    from dynastash.policy.names import parse_pattern

    given = {Access.READ: read, Access.WRITE: write, Access.WRITE_ONLY: write_only, Access.ROTATE: rotate}
    if not any(given.values()):
        raise Usage("what to grant was not said", "give --read, --write, --write-only or --rotate with names: 'app1/*'")
    wanted = {access: [parse_pattern(text) for text in texts] for access, texts in given.items()}
    environment, clients, target = _opened(settings)
    grants = Grants(clients, target)
    change = grants.grant(role, wanted, purpose=purpose, replace=replace)
    _show(settings, change)
    applied = False
    if not change.nothing and not dry_run:
        agree(f"attach the policy {change.policy} to the role {change.role}?", yes=yes)
        grants.apply(change)
        applied = True
    _tell(change, applied, "attached the policy {policy} to the role {role}")
    due = _due(settings, clients, target, change) if change.lost and not dry_run else []
    if settings.output != "table":
        emit({**_change_data(environment, change, applied), "due": [_due_data(*each) for each in due]}, settings.output)
    elif due:
        _print_due(environment, due)


@click.command(
    "revoke",
    cls=Command,
    examples=("dynastash revoke app1-role -e prod", "dynastash revoke app1-role 'app1/legacy/*' -e prod"),
)
@click.argument("role")
@click.argument("names", nargs=-1)
@_purpose
@dry_run
@yes
@common
def revoke_command(
    settings: Settings, role: str, names: tuple[str, ...], purpose: str | None, dry_run: bool, yes: bool
) -> None:
    """Take back what `grant` gave to ROLE, or only NAMES of it, and list what is to be rotated now.

    Whoever could read a secret may have kept it: each that the role could read is listed with the command that is due.
    """
    from dynastash.access.grants import Grants
    from dynastash.policy.names import parse_pattern

    environment, clients, target = _opened(settings)
    grants = Grants(clients, target)
    change = grants.revoke(role, [parse_pattern(name) for name in names], purpose=purpose)
    _show(settings, change)
    applied = False
    if not dry_run:
        what = "take back" if change.after is None else "change"
        agree(f"{what} the policy {change.policy} of the role {change.role}?", yes=yes)
        grants.apply(change)
        applied = True
    _tell(change, applied, "took the policy {policy} from the role {role}" if change.after is None else _CHANGED)
    due = _due(settings, clients, target, change)
    if settings.output != "table":
        emit({**_change_data(environment, change, applied), "due": [_due_data(*each) for each in due]}, settings.output)
    else:
        _print_due(environment, due)


@click.command(
    "access",
    cls=Command,
    examples=("dynastash access app1/db/password -e prod", "dynastash access --role app1-role -e prod"),
)
@click.argument("name", required=False, type=SecretName())
@click.option("--role", cls=OwnOption, type=PlainText(), help="What this role or user may do, by secret.")
@click.option("--simulate", cls=OwnOption, is_flag=True, help="Ask IAM itself too (SimulatePrincipalPolicy).")
@common
def access_command(settings: Settings, name: str | None, role: str | None, simulate: bool) -> None:
    """Say who may read or replace the secret NAME, or with --role what one role may.

    From the account's own policies: those of every user and role, their groups and boundaries, the key's policy and its
    grants. What cannot be seen from there is said.
    """
    from dynastash.access import account, readers
    from dynastash.models import check_name

    if (name is None) == (role is None):
        raise Usage("whose access was not said", "give a secret's name, or --role with a role's or user's name")
    if name is not None:
        check_name(name)
    environment, clients, target = _opened(settings)
    keys = readers.keys_of(target, clients)
    if name is not None:
        found = [readers.rights(each, target, keys, name) for each in account.principals(clients)]
        shown = [each for each in found if not each.nothing]
        label, headers = "principal", ("principal", "opens it", "reads with dynastash", "replaces it", "by", "IAM says")
    else:
        principal = account.one(clients, role or "")
        names = [info.name for info in settings.stash().list() if info.state != "destroyed"]
        found = [readers.rights(principal, target, keys, each) for each in names]
        shown = [each for each in found if not each.nothing]
        label, headers = "name", ("name", "opens it", "reads with dynastash", "replaces it", "by", "IAM says")
    simulations = [_simulated(each, target, clients) if simulate else None for each in shown]
    unseen = [_UNSEEN, *(part for key in keys for part in key.unseen)]
    outside = readers.strangers(keys, target.table.split(":")[4])
    if settings.output != "table":
        data = [_rights_data(each, said) for each, said in zip(shown, simulations, strict=True)]
        emit({"environment": environment.name, "access": data, "outside": outside, "unseen": unseen}, settings.output)
    elif shown:
        rows = [_rights_row(label, each, said) for each, said in zip(shown, simulations, strict=True)]
        emit_table(rows, headers, ("IAM says",))
    what = counted(len(found), "principal") if name is not None else counted(len(found), "secret")
    may = (
        f"{len(shown) or 'none'} may open or replace {name}" if name is not None else f"{len(shown) or 'none'} of them"
    )
    say(f"looked at {what}: {may}, by the policies that were read")
    if outside:
        say(f"warning: the keys' policies or grants also name {', '.join(outside)}")
    say(f"not seen: {'; '.join(unseen)}")


def _opened(settings: Settings) -> tuple[Environment, Clients, Target]:
    from dynastash.access.target import find
    from dynastash.aws.clients import Clients

    environment = settings.environment()
    if environment.store != "dynamodb":
        raise ConfigError(
            f"the environment {environment.name} is on this machine: its files' owner may read it, and nobody else",
            hint="name one on AWS with -e",
        )
    clients = Clients(environment.aws)
    return environment, clients, find(environment, clients)


def _show(settings: Settings, change: Change) -> None:
    """The policy, or its difference to the one that is there; on stderr where stdout is a machine's."""
    import difflib

    before, after = (
        [] if document is None else json.dumps(document, indent=2).splitlines()
        for document in (change.before, change.after)
    )
    lines: Sequence[str] = after
    if change.before is not None:
        lines = list(difflib.unified_diff(before, after, "now", "then", lineterm="", n=2))
    for line in lines:
        if settings.output == "table":
            write_text(visible(line) + "\n")
        else:
            say(line)


def _tell(change: Change, applied: bool, done: str) -> None:
    if change.nothing:
        say(f"the role {change.role} has all of that already: nothing was changed")
    elif not applied:
        say("nothing was changed")
    else:
        say(f"{done.format(policy=change.policy, role=change.role)}; IAM takes some seconds to know it everywhere")


def _due(
    settings: Settings, clients: Clients, target: Target, change: Change
) -> list[tuple[SecretInfo, Verdict | None]]:
    """The secrets that the role could read by what it lost, each with whether it still can; None where that is open."""
    from dynastash.access import account, readers

    try:
        listed = [info for info in settings.stash().list() if info.state != "destroyed"]
    except DynastashError as error:
        say(f"warning: the secrets cannot be listed: {error}")
        say(f"hint: rotate everything under {', '.join(map(str, change.lost))}")
        return []
    lost = [info for info in listed if any(_covers(each, info.name) for each in change.lost)]
    try:
        principal = account.one(clients, change.role)
        keys = readers.keys_of(target, clients)
    except DynastashError as error:
        say(f"warning: whether other policies still let the role read cannot be told: {error}")
        return [(info, None) for info in lost]
    return [(info, readers.rights(principal, target, keys, info.name).opens) for info in lost]


def _covers(pattern: Pattern, name: str) -> bool:
    return pattern.text == name or (pattern.prefix is not None and name.startswith(pattern.prefix))


def _rotate(environment: Environment, info: SecretInfo) -> str:
    return f"dynastash rotate {info.name} -e {environment.name}" + ("" if info.rotation else " -- PROGRAM")


def _print_due(environment: Environment, due: list[tuple[SecretInfo, Verdict | None]]) -> None:
    for info, still in due:
        write_text(_rotate(environment, info) + "\n")
        if still is not None and still.truth is not False:
            say(f"warning: the role {'can' if still.truth else 'may'} still read {info.name} through another policy")
    if due:
        say(f"{counted(len(due), 'secret')} that the role could read: rotate each")


def _change_data(environment: Environment, change: Change, applied: bool) -> dict[str, Any]:
    return {
        "environment": environment.name,
        "role": change.role,
        "policy": change.policy,
        "before": change.before,
        "after": change.after,
        "applied": applied,
    }


def _due_data(info: SecretInfo, still: Verdict | None) -> dict[str, Any]:
    return {
        "name": info.name,
        "version": info.current,
        "rotation": info.rotation,
        "still_readable": None if still is None else _SHOWN[str(still)],
    }


def _simulated(rights: Rights, target: Target, clients: Clients) -> str:
    from dynastash.access.readers import simulated
    from dynastash.errors import ServiceError

    try:
        return _SHOWN[str(simulated(rights.principal, target, clients, rights.name))]
    except ServiceError as error:
        return f"no answer ({error.code})"


def _rights_row(label: str, rights: Rights, simulated: str | None) -> tuple[object, ...]:
    from dynastash.policy.document import Access

    who = rights.name if label == "name" else f"{rights.principal.kind} {rights.principal.name}"
    return (
        who,
        _SHOWN[str(rights.opens)],
        _SHOWN[str(rights.uses[Access.READ])],
        _SHOWN[str(rights.replaces)],
        ", ".join(rights.policies),
        simulated,
    )


def _rights_data(rights: Rights, simulated: str | None) -> dict[str, Any]:
    from dynastash.policy.document import Access

    return {
        "principal": rights.principal.arn,
        "name": rights.name,
        "opens": _SHOWN[str(rights.opens)],
        "replaces": _SHOWN[str(rights.replaces)],
        "uses": {str(access): _SHOWN[str(rights.uses[access])] for access in Access},
        "by": list(rights.policies),
        "simulated": simulated,
    }

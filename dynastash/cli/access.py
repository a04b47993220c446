"""``dynastash grant``, ``dynastash revoke`` and ``dynastash access``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dynastash.cli.asking import agree
from dynastash.cli.command import Command, OwnOption
from dynastash.cli.due import SHOWN, due_data, due_of, print_due
from dynastash.cli.options import PlainText, SecretName, Settings, Usage, common, dry_run, yes
from dynastash.cli.output import counted, emit, emit_table, say, visible, write_text

if TYPE_CHECKING:
    from dynastash.access.grants import Change, Wanted
    from dynastash.access.keygrants import KeyChange
    from dynastash.access.readers import Rights
    from dynastash.aws.clients import Clients
    from dynastash.config import Environment
    from dynastash.models import SecretInfo
    from dynastash.policy.document import Target
    from dynastash.policy.evaluator import Verdict

_F = TypeVar("_F", bound=Callable[..., Any])
_TAKEN: Final = "took the policy {policy} from the role {role}"
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
        "dynastash grant app1-role --read app1/db/password --kms-grant -e prod",
    ),
)
@click.argument("role")
@_patterns("--read", "May read these: app1/*, app1/db/password, or * for all.")
@_patterns("--write", "May put these, and read them.")
@_patterns("--write-only", "May put these, and not read them.")
@_patterns("--rotate", "May rotate, destroy and prune these, put and read them.")
@click.option(
    "--kms-grant",
    cls=OwnOption,
    is_flag=True,
    help="Open the key by KMS grants, one for each secret, and not by the policy.",
)
@click.option("--replace", cls=OwnOption, is_flag=True, help="Instead of what is granted already.")
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
    kms_grant: bool,
    replace: bool,
    purpose: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Let ROLE use secrets: attach the least policy, or add to it.

    An inline policy of the role, named after the environment. It is shown first, and asked for. What is granted already
    stays; the same command again changes nothing.

    With --kms-grant the policy is for the records alone, and a KMS grant for each secret, named whole, opens the key.
    """
    from dynastash.access.grants import Grants
    from dynastash.policy.document import Access
    from dynastash.policy.names import parse_pattern

    given = {Access.READ: read, Access.WRITE: write, Access.WRITE_ONLY: write_only, Access.ROTATE: rotate}
    if not any(given.values()):
        raise Usage("what to grant was not said", "give --read, --write, --write-only or --rotate with names: 'app1/*'")
    if kms_grant and purpose is not None:
        raise Usage("--kms-grant has a policy of its own", "leave --purpose out")
    wanted = {access: [parse_pattern(text) for text in texts] for access, texts in given.items()}
    environment, clients, target = _opened(settings)
    if kms_grant:
        _grant_keys(settings, environment, clients, target, role, wanted, replace=replace, dry_run=dry_run, yes=yes)
        return
    grants = Grants(clients, target)
    change = grants.grant(role, wanted, purpose=purpose, replace=replace)
    _show(settings, change)
    applied = False
    if not change.nothing and not dry_run:
        agree(f"attach the policy {change.policy} to the role {change.role}?", yes=yes)
        grants.apply(change)
        applied = True
    _tell(change, change.nothing, applied, "attached the policy {policy} to the role {role}")
    due = due_of(settings, clients, target, change.role, change.lost) if change.lost and not dry_run else []
    if settings.output != "table":
        emit(_change_data(environment, change, None, applied, due), settings.output)
    elif due:
        print_due(environment, due)


def _grant_keys(
    settings: Settings,
    environment: Environment,
    clients: Clients,
    target: Target,
    role: str,
    wanted: Wanted,
    *,
    replace: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    from dynastash.access.keygrants import KeyGrants
    from dynastash.cli import keygrants

    grants = KeyGrants(clients, target)
    change = grants.grant(role, wanted, replace=replace)
    _show(settings, change.policy)
    _write(settings, keygrants.lines(change))
    applied = False
    if not change.nothing and not dry_run:
        agree(keygrants.question(change), yes=yes)
        grants.apply(change)
        applied = True
    if change.nothing or not applied:
        _tell(change.policy, change.nothing, applied, "")
    else:
        say(keygrants.told(change))
    due = due_of(settings, clients, target, change.policy.role, change.lost) if change.lost and not dry_run else []
    if settings.output != "table":
        emit(_change_data(environment, None, change, applied, due), settings.output)
    elif due:
        print_due(environment, due)


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

    The policy, and the KMS grants with theirs; with --purpose that policy alone. Whoever could read a secret may have
    kept it: each that the role could read is listed with the command that is due.
    """
    from dynastash.access.grants import Grants
    from dynastash.access.keygrants import KeyGrants
    from dynastash.cli import keygrants
    from dynastash.policy.names import parse_pattern

    environment, clients, target = _opened(settings)
    grants, key_grants = Grants(clients, target), KeyGrants(clients, target)
    patterns = [parse_pattern(name) for name in names]
    keyed = key_grants.revoke(role, patterns) if purpose is None else None
    if keyed is not None and keyed.unseen is not None:
        say(f"warning: whether the role has KMS grants cannot be told: {keyed.unseen}")
    if keyed is not None and keyed.nothing:
        keyed = None
    change = grants.revoke(role, patterns, purpose=purpose, elsewhere=None if keyed is None else keyed.names)
    _show(settings, change)
    if keyed is not None:
        _show(settings, keyed.policy)
        _write(settings, keygrants.lines(keyed))
    applied = False
    if not dry_run:
        what = "take back" if change.after is None else "change"
        questions = [] if change.nothing else [f"{what} the policy {change.policy} of the role {change.role}?"]
        for question in [*questions, *([] if keyed is None else [keygrants.question(keyed)])]:
            agree(question, yes=yes)
        grants.apply(change)
        if not change.nothing:
            _tell(change, False, True, _TAKEN if change.after is None else _CHANGED)
        if keyed is not None:
            key_grants.apply(keyed)
            say(keygrants.told(keyed))
        applied = True
    else:
        say("nothing was changed")
    lost = tuple(dict.fromkeys((*change.lost, *(() if keyed is None else keyed.lost))))
    due = due_of(settings, clients, target, change.role, lost)
    if settings.output != "table":
        emit(_change_data(environment, change, keyed, applied, due), settings.output)
    else:
        print_due(environment, due)


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

    environment = settings.environment_on_aws("its files' owner may read it, and nobody else")
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
    _write(settings, lines)


def _write(settings: Settings, lines: Sequence[str]) -> None:
    for line in lines:
        if settings.output == "table":
            write_text(visible(line) + "\n")
        else:
            say(line)


def _tell(change: Change, nothing: bool, applied: bool, done: str) -> None:
    if nothing:
        say(f"the role {change.role} has all of that already: nothing was changed")
    elif not applied:
        say("nothing was changed")
    else:
        say(f"{done.format(policy=change.policy, role=change.role)}; IAM takes some seconds to know it everywhere")


def _change_data(
    environment: Environment,
    change: Change | None,
    keyed: KeyChange | None,
    applied: bool,
    due: list[tuple[SecretInfo, Verdict | None]],
) -> dict[str, Any]:
    from dynastash.cli import keygrants

    role = change.role if change is not None else keyed.policy.role if keyed is not None else None
    return {
        "environment": environment.name,
        "role": role,
        "policy": None if change is None else change.policy,
        "before": None if change is None else change.before,
        "after": None if change is None else change.after,
        "kms_grants": None if keyed is None else keygrants.data(keyed),
        "applied": applied,
        "due": [due_data(*each) for each in due],
    }


def _simulated(rights: Rights, target: Target, clients: Clients) -> str:
    from dynastash.access.readers import simulated
    from dynastash.errors import ServiceError

    try:
        return SHOWN[str(simulated(rights.principal, target, clients, rights.name))]
    except ServiceError as error:
        return f"no answer ({error.code})"


def _rights_row(label: str, rights: Rights, simulated: str | None) -> tuple[object, ...]:
    from dynastash.policy.document import Access

    who = rights.name if label == "name" else f"{rights.principal.kind} {rights.principal.name}"
    return (
        who,
        SHOWN[str(rights.opens)],
        SHOWN[str(rights.uses[Access.READ])],
        SHOWN[str(rights.replaces)],
        ", ".join(rights.policies),
        simulated,
    )


def _rights_data(rights: Rights, simulated: str | None) -> dict[str, Any]:
    from dynastash.policy.document import Access

    return {
        "principal": rights.principal.arn,
        "name": rights.name,
        "opens": SHOWN[str(rights.opens)],
        "replaces": SHOWN[str(rights.replaces)],
        "uses": {str(access): SHOWN[str(rights.uses[access])] for access in Access},
        "by": list(rights.policies),
        "simulated": simulated,
    }

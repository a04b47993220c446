"""``dynastash policy``: the least that a use of secrets needs, and what an existing policy opens."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from dynastash.cli import exits
from dynastash.cli.command import Command
from dynastash.cli.options import Settings, Usage, common
from dynastash.cli.output import counted, emit, emit_table, say, write_text

if TYPE_CHECKING:
    from dynastash.policy.check import Opened, TooWide
    from dynastash.policy.document import Access, Target
    from dynastash.policy.evaluator import Verdict
    from dynastash.policy.names import Pattern

_FORMS: Final = ("policy", "cloudformation", "terraform")
_SHOWN: Final = {"allowed": "yes", "denied": "", "cannot say": "cannot say"}


@click.command(
    "policy",
    cls=Command,
    examples=(
        "dynastash policy -e prod --read 'app1/*' --write 'app1/db/*'",
        "dynastash policy -e prod --read 'app1/*' --account 111122223333 --as terraform",
        "dynastash policy -e prod --check policy.json --read 'app1/*'",
        "dynastash policy -e prod --read 'app1/*' --copies-to ssm:/app1",
    ),
)
@click.option(
    "--read", multiple=True, metavar="NAMES", help="Secrets to open: app1/*, one by its name, or '*' for all."
)
@click.option("--write", multiple=True, metavar="NAMES", help="Secrets to put, roll back and delete, and to open.")
@click.option("--write-only", multiple=True, metavar="NAMES", help="Secrets to put with --write-only, and not to open.")
@click.option("--rotate", multiple=True, metavar="NAMES", help="Secrets to rotate and prune, and to write.")
@click.option(
    "--by-tag",
    type=click.Choice(("read", "write", "write-only", "rotate")),
    help="That, for whatever prefix the principal's tag dynastash-prefix names: one policy for all applications.",
)
@click.option("--admin", is_flag=True, help="To look after the table and the key, and rewrap; opens no value.")
@click.option("--copies-to", metavar="PLACE", help="To keep copies with sync: ssm:/PATH or secretsmanager:PREFIX.")
@click.option("--copies-key", metavar="ARN", help="The KMS key of the copies, where it is not AWS's own.")
@click.option(
    "--context-key", "context_keys", multiple=True, metavar="KEY", help="A key that put --context is used with."
)
@click.option("--account", metavar="ID", help="The account; nothing is asked of AWS then.")
@click.option("--as", "form", type=click.Choice(_FORMS), default="policy", help="What to print.  [default: policy]")
@click.option("--name", metavar="NAME", help="The policy's name, in CloudFormation and Terraform.")
@click.option(
    "--check",
    "files",
    multiple=True,
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Say instead what these policies of one principal open, and what in them is too wide; exit code 1 for that.",
)
@common
def policy_command(
    settings: Settings,
    by_tag: str | None,
    admin: bool,
    copies_to: str | None,
    copies_key: str | None,
    context_keys: tuple[str, ...],
    account: str | None,
    form: str,
    name: str | None,
    files: tuple[str, ...],
    **named: tuple[str, ...],
) -> None:
    """Print the least-privilege IAM policy for what is asked, or check existing ones.

    app1/* is everything below app1, at any depth; app1 is the secret of that name. Whoever may write may also open,
    because a write checks what is there, save with --write-only. Without --account STS and KMS say the account and the
    key's ARN.
    """
    wanted = _wanted(named, by_tag)
    if not (wanted or admin or copies_to or files):
        raise Usage("what the policy is for was not said", "give --read, --write, --rotate, --admin or --check FILE")
    if copies_key is not None and not (copies_to and ":key/" in copies_key):
        raise Usage("--copies-key is not the ARN of a key for --copies-to", "give both, as arn:aws:kms:…:key/…")
    documents = [_document(file) for file in files]  # before AWS is asked for anything
    target = _target(settings, account, context_keys)
    if files:
        _check(settings, documents, target, wanted, asked=bool(wanted or admin))
        return
    from dynastash.policy.document import policy_document

    for key in (target.key, *target.trusted_keys):
        if key.startswith("alias/"):
            say(f"warning: the key is named by {key}: whoever may move the alias moves the permission")
            say("hint: give --key with the key's ARN")
    copying = _copying(target, copies_to, copies_key) if copies_to else ()
    document = policy_document(target, wanted, administer=admin, copying=copying)
    _warn_of_size(document)
    _print(settings.output, document, form, name or _named_for(target, wanted, admin))


def _target(settings: Settings, account: str | None, context_keys: Sequence[str]) -> Target:
    from dynastash.access.offline import derive
    from dynastash.access.target import find
    from dynastash.aws.clients import Clients
    from dynastash.errors import CredentialsError, ServiceError

    environment = settings.environment_on_aws("IAM has no say in it")
    clients = Clients(environment.aws)
    try:
        target = derive(environment, clients.region, account) if account else find(environment, clients)
    except (CredentialsError, ServiceError) as error:
        error.hint = f"{error.hint or 'check the credentials'}; with --account nothing is asked of AWS"
        raise
    return replace(target, context_keys=tuple(context_keys))


def _wanted(named: Mapping[str, Sequence[str]], by_tag: str | None) -> dict[Access, list[Pattern]]:
    from dynastash.policy.document import Access
    from dynastash.policy.names import BY_TAG, parse_pattern

    found = {
        access: [parse_pattern(text) for text in named[access.replace("-", "_")]]
        + ([BY_TAG] if by_tag == access else [])
        for access in Access
    }
    return {access: patterns for access, patterns in found.items() if patterns}


def _copying(target: Target, to: str, key: str | None) -> list[dict[str, Any]]:
    from dynastash.cli.handing import KINDS
    from dynastash.cli.places import place
    from dynastash.places import Kind
    from dynastash.policy import copies
    from dynastash.transfer.services.managed import joined

    where = place(to, KINDS)
    if where.kind == Kind.SSM:
        return copies.to_parameters(target, where.where, key)
    return copies.to_secrets(target, joined(where.where), key)


def _named_for(target: Target, wanted: Mapping[Access, Sequence[Pattern]], admin: bool) -> str:
    """A name that says what the policy is for: of its environment and its first pattern."""
    first = next((pattern.text for patterns in wanted.values() for pattern in patterns), "admin" if admin else "")
    word = "".join(char if char.isascii() and char.isalnum() else "-" for char in first).strip("-") or "all"
    widest = list(wanted)[-1] if wanted else "admin"
    return f"dynastash-{target.environment}-{word}" + ("" if word == widest else f"-{widest}")


def _warn_of_size(document: Mapping[str, Any]) -> None:
    from dynastash.policy.document import INLINE_LIMIT, MANAGED_LIMIT, size

    characters = size(document)
    if characters > MANAGED_LIMIT:
        say(f"warning: the policy has {characters} characters, and IAM takes {MANAGED_LIMIT} in a managed policy")
        where = "as an inline policy of a role" if characters <= INLINE_LIMIT else "in several policies"
        say(f"hint: name prefixes instead of single secrets, or give it {where}")


def _print(output: str, document: Mapping[str, Any], form: str, name: str) -> None:
    from dynastash.policy import render

    description = "dynastash: " + ", ".join(statement["Sid"] for statement in document["Statement"])
    if form == "terraform":
        write_text(render.terraform(document, name, description))
        return
    data = render.cloudformation(document, name, description) if form == "cloudformation" else document
    emit(data, "yaml" if output == "yaml" else "json")


def _document(file: str) -> Mapping[str, Any]:
    """The policy in a file: by itself, or as the AWS CLI shows it."""
    from dynastash.errors import PolicyError

    try:
        with click.open_file(file, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from error
    found = _parsed(file, text)
    for outer, inner in (("PolicyVersion", "Document"), ("RolePolicy", "PolicyDocument")):
        if isinstance(found, Mapping) and isinstance(found.get(outer), Mapping):
            found = found[outer].get(inner)
    if isinstance(found, Mapping) and isinstance(found.get("PolicyDocument"), Mapping):
        found = found["PolicyDocument"]
    if not isinstance(found, Mapping):
        raise PolicyError(f"{file} is not a policy document", hint="it is a JSON object with a Statement")
    return found


def _parsed(file: str, text: str) -> Any:
    import json

    from dynastash.errors import ConfigError, PolicyError

    try:
        return json.loads(text)
    except ValueError as error:
        if text.lstrip().startswith("{"):
            raise PolicyError(f"{file} is not JSON: {error}") from error
    try:
        import yaml
    except ImportError:
        raise ConfigError("PyYAML is not installed", hint="install it with `pip install 'dynastash[yaml]'`") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise PolicyError(
            f"{file} is neither JSON nor YAML{where}", hint="a CloudFormation template is none"
        ) from error


def _check(
    settings: Settings,
    documents: Sequence[Mapping[str, Any]],
    target: Target,
    wanted: Mapping[Access, Sequence[Pattern]],
    *,
    asked: bool,
) -> None:
    from dynastash.policy.check import beyond, opened
    from dynastash.policy.findings import too_wide

    found = opened(documents, target)
    findings = too_wide(documents, target)
    if asked:
        findings += beyond(found, wanted)
    if settings.output == "table":
        _show(found, findings)
    else:
        emit(_data(target, found, findings), settings.output)
    say(
        f"checked {counted(len(documents), 'policy').replace('policys', 'policies')} for {target.environment}: "
        f"{counted(len(findings), 'finding')}"
    )
    if findings:
        sys.stdout.flush()
        click.get_current_context().exit(exits.OTHER)


def _show(found: Sequence[Opened], findings: Sequence[TooWide]) -> None:
    if found:
        emit_table(
            [
                (
                    each.names,
                    *(_SHOWN[each.uses[access]] for access in each.uses),
                    _SHOWN[each.opens],
                    _SHOWN[each.replaces],
                    ", ".join(each.without),
                )
                for each in found
            ],
            ("secrets", *found[0].uses, "opens", "replaces", "without"),
            ("without",),
        )
    else:
        say("no secret is opened or can be replaced")
    for finding in findings:
        say(f"too wide: {finding.statement}: {finding.what}")
        say(f"  {finding.advice}")


def _data(target: Target, found: Sequence[Opened], findings: Sequence[TooWide]) -> dict[str, Any]:
    def plain(verdicts: Mapping[Access, Verdict]) -> dict[str, str]:
        return {str(access): str(verdict) for access, verdict in verdicts.items()}

    return {
        "environment": target.environment,
        "opened": [
            {
                "names": each.names,
                "uses": plain(each.uses),
                "opens": str(each.opens),
                "replaces": str(each.replaces),
                "without": list(each.without),
            }
            for each in found
        ],
        "findings": [{"statement": each.statement, "what": each.what, "advice": each.advice} for each in findings],
    }

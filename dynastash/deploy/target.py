"""The ARNs of an environment, for policies: from its settings, and from AWS where they leave something open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from dynastash.errors import ConfigError, DynastashError
from dynastash.policy.document import Target

if TYPE_CHECKING:
    import boto3

    from dynastash.config import Environment

_PARTITIONS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


def target_of(environment: Environment, *, account: str | None = None, context_keys: Sequence[str] = ()) -> Target:
    """The environment as policies name it.

    With ``account`` nothing is asked of AWS: keys that the settings name by alias are named by alias. Without it STS
    says the account and KMS the keys. Raises :class:`ConfigError` for an environment on this machine, or where the
    Region or the account cannot be had.
    """
    from dynastash.aws.boto import make_session, region_of

    if environment.store != "dynamodb":
        raise ConfigError(
            f"the environment {environment.name} is on this machine: IAM has no say in it",
            hint="choose an environment on AWS with -e",
        )
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise ConfigError(f"{account[:40]!r} is not an account", hint="give its 12 digits")
    session = make_session(environment.aws)
    region = environment.aws.region or region_of(session)
    if not region:
        raise ConfigError("no AWS Region is configured", hint="set AWS_REGION, region in dynastash.toml, or --region")
    keys = (environment.key, *environment.trusted_keys)
    if account is None:
        account, keys = _asked(session, environment, region, keys)
    partition = next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")
    here = f"{region}:{account}"
    named = [_key(key, f"arn:{partition}:kms:{here}") for key in keys]
    table = environment.table
    return Target(
        environment=environment.name,
        table=table if table.startswith("arn:") else f"arn:{partition}:dynamodb:{here}:table/{table}",
        key=named[0],
        trusted_keys=tuple(named[1:]),
        keys=f"arn:{partition}:kms:{here}:key/*",
        context_keys=tuple(context_keys),
    )


def _asked(
    session: boto3.Session, environment: Environment, region: str, keys: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """The caller's account, and the keys by ARN as far as KMS tells."""
    from dynastash.aws.base import CallError, Operation
    from dynastash.aws.boto import BotoTransport

    transport = BotoTransport(session, region=region, endpoint_url=environment.aws.endpoint_url)
    try:
        account = str(transport.call(Operation.GET_CALLER_IDENTITY, {})["Account"])
    except CallError as error:
        raise ConfigError(
            f"the account is not known: {error.message or error.code}", hint="check the credentials, or give --account"
        ) from error
    except DynastashError as error:
        error.hint = f"{error.hint or 'check the credentials'}; with --account nothing is asked of AWS"
        raise
    return account, tuple(_described(session, environment, region, key) for key in keys)


def _described(session: boto3.Session, environment: Environment, region: str, key: str) -> str:
    """The key's ARN; the key as it is where KMS does not tell, which the policy then names by its alias."""
    from botocore.exceptions import BotoCoreError, ClientError

    if key.startswith("arn:") and ":key/" in key:
        return key
    make: Any = session.client
    client = make("kms", region_name=region, endpoint_url=environment.aws.endpoint_url)
    try:
        return str(client.describe_key(KeyId=key)["KeyMetadata"]["Arn"])
    except (BotoCoreError, ClientError):
        return key


def _key(key: str, service: str) -> str:
    """A key by its ARN, or by ``alias/NAME``."""
    if ":alias/" in key:
        return "alias/" + key.partition(":alias/")[2]
    return key if key.startswith(("arn:", "alias/")) else f"{service}:key/{key}"

"""The environment as policies name it, from its settings alone: nothing is asked of AWS."""

from __future__ import annotations

import re
from typing import Final

from dynastash.config import Environment
from dynastash.errors import InvalidArgumentError
from dynastash.policy.document import Target

_PARTITIONS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}


def derive(environment: Environment, region: str, account: str) -> Target:
    """The environment's ARNs in ``account``, 12 digits. A key that is configured by its alias stays named by it.

    Raises :class:`InvalidArgumentError` for an account that is none.
    """
    if not re.fullmatch(r"[0-9]{12}", account):
        raise InvalidArgumentError(f"{account[:40]!r} is not an account", hint="give its 12 digits")
    partition = next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")
    kms = f"arn:{partition}:kms:{region}:{account}:key/"
    return Target(
        environment=environment.name,
        table=f"arn:{partition}:dynamodb:{region}:{account}:table/{environment.table}",
        key=_key(environment.key, kms),
        trusted_keys=tuple(_key(key, kms) for key in environment.trusted_keys),
        keys=f"{kms}*",
    )


def _key(key: str, kms: str) -> str:
    if ":alias/" in key:
        return "alias/" + key.partition(":alias/")[2]
    return key if key.startswith(("arn:", "alias/")) else kms + key

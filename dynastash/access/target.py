"""The environment as policies name it: the ARNs of its table and keys."""

from __future__ import annotations

from dynastash.aws.clients import Clients, translated
from dynastash.config import Environment
from dynastash.errors import ServiceAccessDeniedError, ServiceError, ServiceUnavailableError
from dynastash.policy.document import Target


def find(environment: Environment, clients: Clients) -> Target:
    """The environment's ARNs: from STS, and from KMS for a key that is configured by its alias.

    A caller who may not look at the key gets a target by alias. Raises :class:`ServiceError`.
    """
    with translated("sts"):
        caller = clients.get("sts").get_caller_identity()
    partition, account = caller["Arn"].split(":")[1], caller["Account"]
    keys = f"arn:{partition}:kms:{clients.region}:{account}:key/*"
    return Target(
        environment=environment.name,
        table=f"arn:{partition}:dynamodb:{clients.region}:{account}:table/{environment.table}",
        key=_key(environment.key, clients),
        trusted_keys=tuple(_key(key, clients) for key in environment.trusted_keys),
        keys=keys,
    )


def _key(key: str, clients: Clients) -> str:
    if key.startswith("arn:") and ":key/" in key:
        return key
    try:
        with translated("kms"):
            return str(clients.get("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"])
    except (ServiceUnavailableError, ServiceAccessDeniedError):
        if key.startswith("alias/"):
            return key
        raise
    except ServiceError as error:
        if error.code == "NotFoundException":
            raise ServiceError(
                f"there is no key {key} in {clients.region}",
                hint="check the region and key in the configuration, or run `dynastash doctor`",
                code=error.code,
            ) from error
        raise

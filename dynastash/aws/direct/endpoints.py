"""Where AWS's services are: the ordinary regional endpoints, for each partition.

Neither FIPS nor dual-stack endpoints stand here, nor those of pseudo Regions such as ``aws-global``.
"""

from __future__ import annotations

from typing import Final

from dynastash.aws.direct.handover import HandOver
from dynastash.frozen import Frozen


class Partition(Frozen):
    """A part of AWS with accounts and names of its own. ``areas`` are how its Regions' names begin."""

    name: str
    suffix: str
    areas: tuple[str, ...]


# The narrower first: us-gov-west-1 is not a Region of the partition aws.
_PARTITIONS: Final = (
    Partition("aws-us-gov", "amazonaws.com", ("us-gov",)),
    Partition("aws-iso", "c2s.ic.gov", ("us-iso",)),
    Partition("aws-iso-b", "sc2s.sgov.gov", ("us-isob",)),
    Partition("aws-iso-e", "cloud.adc-e.uk", ("eu-isoe",)),
    Partition("aws-iso-f", "csp.hci.ic.gov", ("us-isof",)),
    Partition("aws-eusc", "amazonaws.eu", ("eusc-de",)),
    Partition("aws-cn", "amazonaws.com.cn", ("cn",)),
    Partition("aws", "amazonaws.com", ("us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx")),
)


def partition_of(region: str) -> Partition:
    """The partition of ``region``, which need not have existed when this was written.

    Raises :class:`HandOver` for a name that is none of a Region: an area, a direction and a number.
    """
    place, _, number = region.rpartition("-")
    area, _, direction = place.rpartition("-")
    if direction.isalpha() and number.isdigit() and region.isascii() and region == region.lower():
        for partition in _PARTITIONS:
            if area in partition.areas:
                return partition
    raise HandOver(f"{region} is not a Region that it knows")


def endpoint(service: str, region: str, account: str | None = None) -> str:
    """The URL of ``service`` (``dynamodb``, ``kms`` or ``sts``) in ``region``.

    DynamoDB has an endpoint for each account in the partition ``aws``, which SDKs prefer where the credentials come
    with their ``account``. Raises :class:`HandOver` for a Region that cannot be placed.
    """
    partition = partition_of(region)
    if service == "dynamodb" and account and partition.name == "aws":
        return f"https://{account}.ddb.{region}.{partition.suffix}"
    return f"https://{service}.{region}.{partition.suffix}"

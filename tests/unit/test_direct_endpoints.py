"""Endpoints: the same as botocore's, for each Region that it knows and some that it does not yet."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

from dynastash.aws.direct.endpoints import endpoint, partition_of
from dynastash.aws.direct.handover import HandOver

SERVICES = ("dynamodb", "kms", "sts")
_loader = create_loader()
_partitions = _loader.load_data("partitions")
REGIONS = sorted(region for part in _partitions["partitions"] for region in part["regions"] if "global" not in region)
PSEUDO = sorted(region for part in _partitions["partitions"] for region in part["regions"] if "global" in region)
NEW = [
    "eu-west-9",
    "us-gov-south-3",
    "cn-south-1",
    "us-iso-south-2",
    "us-isob-north-1",
    "eusc-de-west-2",
    "mx-north-12",
]


@cache
def _rules(service: str) -> EndpointProvider:
    rules = _loader.load_service_model(service, "endpoint-rule-set-1")
    return EndpointProvider(rules, _partitions)


def _by_rules(service: str, **parameters: Any) -> str:
    if service == "sts":
        parameters["UseGlobalEndpoint"] = False
    return str(_rules(service).resolve_endpoint(**parameters, UseDualStack=False, UseFIPS=False).url)


@pytest.mark.parametrize("service", SERVICES)
def test_the_endpoint_of_each_region_is_botocores(service: str) -> None:
    older = EndpointResolver(_loader.load_data("endpoints"))
    assert len(REGIONS) > 35
    for region in (*REGIONS, *NEW):
        ours = endpoint(service, region)
        assert ours == _by_rules(service, Region=region)
        listed = older.construct_endpoint(service, region)
        if listed is not None:
            assert ours == f"https://{listed['hostname']}", region


def test_an_accounts_endpoint_is_botocores() -> None:
    for region in (*REGIONS, *NEW):
        expected = _by_rules("dynamodb", Region=region, AccountId="123456789012", AccountIdEndpointMode="preferred")
        assert endpoint("dynamodb", region, "123456789012") == expected
        assert endpoint("kms", region, "123456789012") == endpoint("kms", region)


def test_partitions_are_botocores() -> None:
    known = {(part["id"], part["outputs"]["dnsSuffix"]) for part in _partitions["partitions"]}
    assert {(found.name, found.suffix) for found in map(partition_of, REGIONS)} == known


@pytest.mark.parametrize(
    "region",
    [*PSEUDO, "local", "", "eu", "eu-west", "eu-west-", "-west-1", "EU-WEST-1", "xx-west-1", "eu-west-1a", "eu-wést-1"],
)
def test_a_name_that_is_no_regions_is_left_to_botocore(region: str) -> None:
    with pytest.raises(HandOver):
        partition_of(region)


def test_every_pattern_of_botocores_partitions_is_known() -> None:
    areas = [area for area, direction in product(_areas(), ["west"]) if partition_of(f"{area}-{direction}-1")]
    assert len(areas) > 14


def _areas() -> list[str]:
    """How Regions' names begin, from the patterns ``^(us|eu)\\-\\w+\\-\\d+$``."""
    found = []
    for part in _partitions["partitions"]:
        pattern = part["regionRegex"].removeprefix("^").removesuffix(r"\-\w+\-\d+$")
        head, _, group = pattern.replace(r"\-", "-").replace(")", "").partition("(")
        found += [head + area for area in (group.split("|") if group else [""])]
    return found

"""An account's IAM and KMS in memory, as far as grants and revocations ask them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from dynastash.policy.document import Access, Target
from dynastash.policy.names import Pattern, parse_pattern

ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TARGET = Target(environment="prod", table=f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/dynastash-prod", key=KEY)


def wanted(**names: list[str]) -> dict[Access, list[Pattern]]:
    """``read=["app1/*"]`` as the plans take it."""
    return {Access(access.replace("_", "-")): [parse_pattern(name) for name in ones] for access, ones in names.items()}


class Iam:
    """IAM with roles and their inline policies in memory."""

    def __init__(self, **roles: dict[str, Any]) -> None:
        self.roles = roles
        self.calls: list[str] = []

    def get(self, service: str) -> Iam:
        assert service == "iam"
        return self

    def _refuse(self, operation: str) -> ClientError:
        return ClientError({"Error": {"Code": "NoSuchEntity", "Message": "not found"}}, operation)

    def get_role(self, **asked: str) -> dict[str, Any]:
        if asked["RoleName"] not in self.roles:
            raise self._refuse("GetRole")
        return {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/service/{asked['RoleName']}"}}

    def get_role_policy(self, **asked: str) -> dict[str, Any]:
        found = self.roles.get(asked["RoleName"], {}).get(asked["PolicyName"])
        if found is None:
            raise self._refuse("GetRolePolicy")
        return {"PolicyDocument": copy.deepcopy(found)}

    def put_role_policy(self, **asked: str) -> None:
        self.calls.append("put")
        self.roles[asked["RoleName"]][asked["PolicyName"]] = json.loads(asked["PolicyDocument"])

    def delete_role_policy(self, **asked: str) -> None:
        self.calls.append("delete")
        del self.roles[asked["RoleName"]][asked["PolicyName"]]


class Kms:
    """The grants of keys. ``refuse`` maps operations to the error code that they end with."""

    def __init__(self) -> None:
        self.grants: list[dict[str, Any]] = []
        self.refuse: dict[str, str] = {}
        self.calls: list[str] = []

    def _call(self, operation: str) -> None:
        self.calls.append(operation)
        if operation in self.refuse:
            raise ClientError({"Error": {"Code": self.refuse[operation], "Message": "refused"}}, operation)

    def get_paginator(self, operation: str) -> Kms:
        assert operation == "list_grants"
        return self

    def paginate(self, **asked: str) -> Iterator[dict[str, Any]]:
        """One grant a page; the grantee is not looked at, as on some endpoints."""
        self._call("ListGrants")
        for each in self.grants:
            if each["KeyId"] == asked["KeyId"]:
                yield {"Grants": [copy.deepcopy(each)]}

    def create_grant(self, **asked: Any) -> dict[str, str]:
        self._call("CreateGrant")
        self.grants.append({**asked, "GrantId": f"g{len(self.calls)}"})
        return {"GrantId": self.grants[-1]["GrantId"], "GrantToken": "t"}

    def revoke_grant(self, **asked: str) -> None:
        self._call("RevokeGrant")
        left = [each for each in self.grants if (each["KeyId"], each["GrantId"]) != (asked["KeyId"], asked["GrantId"])]
        if len(left) == len(self.grants):
            raise ClientError({"Error": {"Code": "NotFoundException", "Message": "no grant"}}, "RevokeGrant")
        self.grants = left


class Account:
    """Both, as :class:`~dynastash.aws.clients.Clients` hands them out."""

    def __init__(self, **roles: dict[str, Any]) -> None:
        self.iam = Iam(**roles)
        self.kms = Kms()

    def get(self, service: str) -> Any:
        return {"iam": self.iam, "kms": self.kms}[service]

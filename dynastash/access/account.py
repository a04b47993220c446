"""The account's users and roles with every policy that speaks for them, as IAM itself lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dynastash.aws.clients import Clients, translated
from dynastash.errors import NotFoundError
from dynastash.policy.evaluator import Document

_FILTER: Final = ("User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy")


@dataclass(frozen=True, slots=True)
class Principal:
    """A user or a role. ``policies`` are ``(where it comes from, document)``; ``boundary`` limits them if there is one.

    ``missing`` names policies whose documents IAM did not give: what they say is not known.
    """

    arn: str
    policies: tuple[tuple[str, Document], ...]
    boundary: Document | None = None
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Without its path."""
        return self.arn.rpartition("/")[2]

    @property
    def kind(self) -> str:
        """``user`` or ``role``."""
        return self.arn.rpartition(":")[2].partition("/")[0]

    @property
    def documents(self) -> list[Document]:
        """The policies' documents."""
        return [document for _, document in self.policies]


def principals(clients: Clients) -> list[Principal]:
    """Every user and role of the account. Raises :class:`ServiceError`, never a part of them."""
    details = _details(clients)
    managed = {policy["Arn"]: document for policy in details["Policies"] if (document := _default(policy)) is not None}
    groups = {group["GroupName"]: group for group in details["GroupDetailList"]}
    found = [
        _principal(user, managed, [groups[name] for name in user.get("GroupList", ()) if name in groups])
        for user in details["UserDetailList"]
    ]
    found += [_principal(role, managed, []) for role in details["RoleDetailList"]]
    return sorted(found, key=lambda each: each.arn)


def one(clients: Clients, name: str) -> Principal:
    """The role or user that ``name`` is the name or ARN of; roles come first. Raises :class:`NotFoundError`."""
    found = [each for each in principals(clients) if name in (each.arn, each.name)]
    if not found:
        raise NotFoundError(
            f"the account has no role and no user {name}", hint="aws iam list-roles shows the roles; check the account"
        )
    return min(found, key=lambda each: each.kind != "role")


def _details(clients: Clients) -> dict[str, list[Mapping[str, Any]]]:
    lists = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in lists}
    client = clients.get("iam")
    with translated("iam"):
        for page in client.get_paginator("get_account_authorization_details").paginate(Filter=list(_FILTER)):
            for name in lists:
                found[name] += page.get(name, ())
    return found


def _default(policy: Mapping[str, Any]) -> Document | None:
    versions = policy.get("PolicyVersionList", ())
    chosen = [version for version in versions if version.get("IsDefaultVersion")]
    document = chosen[0].get("Document") if chosen else None
    return document if isinstance(document, Mapping) else None


def _principal(
    described: Mapping[str, Any],
    managed: Mapping[str, Document],
    groups: list[Mapping[str, Any]],
) -> Principal:
    policies: list[tuple[str, Document]] = []
    missing: list[str] = []

    def attached(arn: str, where: str) -> None:
        if arn in managed:
            policies.append((where, managed[arn]))
        else:
            missing.append(arn)

    for holder, prefix in ((described, ""), *((group, f"group {group['GroupName']}: ") for group in groups)):
        for name, document in _inline(holder):
            policies.append((f"{prefix}{name}", document))
        for each in holder.get("AttachedManagedPolicies", ()):
            attached(each["PolicyArn"], f"{prefix}{each['PolicyName']}")
    boundary: Document | None = None
    if limit := described.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"):
        boundary = managed.get(limit)
        if boundary is None:
            missing.append(limit)
    return Principal(described["Arn"], tuple(policies), boundary, tuple(missing))


def _inline(holder: Mapping[str, Any]) -> Iterator[tuple[str, Document]]:
    for key in ("UserPolicyList", "RolePolicyList", "GroupPolicyList"):
        for policy in holder.get(key, ()):
            if isinstance(policy.get("PolicyDocument"), Mapping):
                yield policy["PolicyName"], policy["PolicyDocument"]

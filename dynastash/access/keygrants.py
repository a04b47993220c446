"""KMS grants that open single secrets for a role, and the inline policy for their records that goes with them.

A grant speaks for the key alone, whatever IAM says, and of exact names: its constraint is an encryption context. The
table knows no grants, so the role has an inline policy too, of its own name and without a word about keys. What the
role has is read from the grants, and the policy is written from them: a command that was cut off is finished by the
same command.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dynastash.access.grants import KEY_GRANTS, Change, Grants, Wanted, check_size, policy_name, role_name
from dynastash.aws.clients import Clients, translated
from dynastash.errors import (
    DynastashError,
    InvalidArgumentError,
    NotFoundError,
    ServiceAccessDeniedError,
    ServiceError,
)
from dynastash.models import RESERVED
from dynastash.policy.document import Access, Target, policy_document, without_keys
from dynastash.policy.names import EVERYTHING, Pattern

_OPEN: Final = "Decrypt"
_MINT: Final = "GenerateDataKey"
_INCLUDED_IN: Final = {
    Access.READ: (Access.WRITE, Access.ROTATE),
    Access.WRITE_ONLY: (Access.WRITE, Access.ROTATE),
    Access.WRITE: (Access.ROTATE,),
    Access.ROTATE: (),
}


@dataclass(frozen=True, slots=True, order=True)
class KeyGrant:
    """One grant: on ``key``, an ARN, for the data keys of one secret. ``id`` is empty until KMS has made it.

    ``name`` is None where a grant of our name does not say as we would which secret it is for.
    """

    name: str | None
    access: Access
    key: str
    operations: tuple[str, ...]
    id: str = ""

    @property
    def opens(self) -> Pattern | None:
        """The secret that it lets its grantee open; all of them where that cannot be told."""
        if _OPEN not in self.operations:
            return None
        return EVERYTHING if self.name is None else Pattern(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What is to become of a role's grants, and of the policy for their records.

    ``grantee`` is the role's ARN; ``lost`` are the secrets that no grant lets it open any more. ``unseen`` says why the
    grants could not be listed; then none is changed.
    """

    policy: Change
    grantee: str
    made: tuple[KeyGrant, ...] = ()
    kept: tuple[KeyGrant, ...] = ()
    revoked: tuple[KeyGrant, ...] = ()
    lost: tuple[Pattern, ...] = ()
    unseen: DynastashError | None = None

    @property
    def nothing(self) -> bool:
        """Whether all stays as it is."""
        return self.policy.nothing and not self.made and not self.revoked

    @property
    def names(self) -> frozenset[Pattern]:
        """The secrets whose grants are revoked."""
        return frozenset(Pattern(each.name) for each in self.revoked if each.name is not None)


def grant_name(environment: str, access: Access, name: str) -> str:
    """The name of a secret's grant, in KMS's alphabet: ``dynastash-ENV-ACCESS-`` and a hash of the secret's name."""
    return f"dynastash-{environment}-{access}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


class KeyGrants:
    """Reads, plans and changes the grants that roles have on an environment's keys."""

    def __init__(self, clients: Clients, target: Target) -> None:
        self._clients = clients
        self._target = target
        self._policies = Grants(clients, target)
        self._named = re.compile(rf"dynastash-{re.escape(target.environment)}-({'|'.join(Access)})-[0-9a-f]{{32}}")

    def grant(self, role: str, wanted: Wanted, *, replace: bool = False) -> KeyChange:
        """Plan grants for all of ``wanted``, besides those that ``role`` has, or with ``replace`` instead.

        Raises :class:`InvalidArgumentError` for a pattern that is not one secret's name.
        """
        names = {access: [_exact(each) for each in wanted.get(access, ())] for access in Access}
        arn = self._arn(role)
        have = self._have(arn)
        made: dict[KeyGrant, None] = {}
        used: set[KeyGrant] = set()
        for access in reversed(Access):  # from the widest, so that a read beside a write is seen to be in it
            for name in names[access]:
                if any(name in names[wider] for wider in _INCLUDED_IN[access]):
                    continue
                for needed in self._needed(access, name):
                    found = [each for each in have if _serves(each, needed)]
                    used.update(found)
                    if not found:
                        made[needed] = None
        revoked = [each for each in have if replace and each not in used]
        return self._change(arn, have, list(made), revoked)

    def revoke(self, role: str, patterns: Iterable[Pattern] = ()) -> KeyChange:
        """Plan to revoke all grants of ``role``, or those for secrets among ``patterns``; there may be none."""
        arn = self._arn(role)
        taken = {each.text for each in patterns}
        try:
            have = self._have(arn)
        except ServiceAccessDeniedError as error:
            name = policy_name(self._target.environment, KEY_GRANTS)
            if (before := self._policies.read(role_name(role), name)) is not None:
                raise  # it has grants for certain
            return KeyChange(
                policy=Change(role=role_name(role), policy=name, before=before, after=before), grantee=arn, unseen=error
            )
        return self._change(arn, have, [], [each for each in have if not taken or each.name in taken], keep=bool(taken))

    def apply(self, change: KeyChange) -> None:
        """Carry a change out. Cut off in the middle, the same change planned anew is the rest of it."""
        self._policies.check(change.policy)
        for each in change.made:  # first: who may not make grants has changed nothing
            self._make(change.grantee, each)
        self._policies.apply(change.policy)
        for each in change.revoked:
            self._revoke(each)

    def _change(
        self, arn: str, have: Sequence[KeyGrant], made: list[KeyGrant], revoked: list[KeyGrant], *, keep: bool = False
    ) -> KeyChange:
        kept = [each for each in have if each not in revoked]
        name = role_name(arn)
        policy = policy_name(self._target.environment, KEY_GRANTS)
        before = self._policies.read(name, policy)
        left: dict[Access, list[Pattern]] = {access: [] for access in Access}
        for each in (*kept, *made):
            if each.name is not None:
                left[each.access].append(Pattern(each.name))
        after = without_keys(policy_document(self._target, left)) if any(left.values()) else None
        if keep and not revoked:
            after = before  # names that no grant is for
        if after is not None:
            check_size(after)
        opened = {each.opens for each in (*kept, *made)}
        lost = sorted({each.opens for each in revoked if each.opens is not None and each.opens not in opened})
        return KeyChange(
            policy=Change(role=name, policy=policy, before=before, after=after),
            grantee=arn,
            made=tuple(made),
            kept=tuple(kept),
            revoked=tuple(revoked),
            lost=tuple(lost),
        )

    def _arn(self, role: str) -> str:
        found = self._policies.role_arn(role_name(role))
        if role.startswith("arn:") and role != found:
            raise NotFoundError(
                f"the account has no role {role}, but {found}",
                hint="a role of another account has no inline policies here: run this in the role's own account",
            )
        return found

    def _keys(self) -> list[str]:
        keys = list(dict.fromkeys((self._target.key, *self._target.trusted_keys)))
        for key in keys:
            if key.startswith("alias/"):
                raise ServiceAccessDeniedError(
                    f"KMS takes grants on a key by its ARN, and {key} may not be looked up",
                    hint="an identity with kms:DescribeKey may, or configure the key by its ARN",
                    action="kms:DescribeKey",
                )
        return keys

    def _needed(self, access: Access, name: str) -> list[KeyGrant]:
        """The grants for one secret: trusted keys only open."""
        found = []
        for key in self._keys():
            operations = () if access is Access.WRITE_ONLY else (_OPEN,)
            if key == self._target.key and access is not Access.READ:
                operations = (*operations, _MINT)
            if operations:
                found.append(KeyGrant(name, access, key, operations))
        return found

    def _have(self, grantee: str) -> list[KeyGrant]:
        client = self._clients.get("kms")
        found = []
        for key in self._keys():
            with translated("kms"):
                for page in client.get_paginator("list_grants").paginate(KeyId=key, GranteePrincipal=grantee):
                    # Of the answer is believed only what it says itself: not every endpoint knows the filter.
                    found += [self._read(key, each) for each in page.get("Grants", ()) if self._ours(each, grantee)]
        return sorted(found, key=lambda each: (each.name or "", each.access, each.key, each.id))

    def _ours(self, listed: Mapping[str, Any], grantee: str) -> bool:
        return (
            listed.get("GranteePrincipal") == grantee and self._named.fullmatch(str(listed.get("Name", ""))) is not None
        )

    def _read(self, key: str, listed: Mapping[str, Any]) -> KeyGrant:
        called = str(listed["Name"])
        match = self._named.fullmatch(called)
        access = Access(match[1]) if match is not None else Access.READ
        subset = (listed.get("Constraints") or {}).get("EncryptionContextSubset") or {}
        name = subset.get(f"{RESERVED}name")
        if (
            name is None
            or subset != self._context(name)
            or called != grant_name(self._target.environment, access, name)
        ):
            name = None
        return KeyGrant(name, access, key, tuple(sorted(listed.get("Operations", ()))), str(listed["GrantId"]))

    def _context(self, name: str) -> dict[str, str]:
        return {f"{RESERVED}env": self._target.environment, f"{RESERVED}name": name}

    def _make(self, grantee: str, each: KeyGrant) -> None:
        name = each.name or ""
        try:
            with translated("kms"):
                self._clients.get("kms").create_grant(
                    KeyId=each.key,
                    GranteePrincipal=grantee,
                    Operations=list(each.operations),
                    Constraints={"EncryptionContextSubset": self._context(name)},
                    Name=grant_name(self._target.environment, each.access, name),
                )
        except ServiceError as error:
            if error.code != "LimitExceededException":
                raise
            raise ServiceError(
                f"the key {each.key} takes no further grant, for {name}: {error}",
                hint="a key has 50,000 at most: revoke some, or grant a prefix by its policy, without --kms-grant",
                code=error.code,
                action=error.action,
            ) from error

    def _revoke(self, each: KeyGrant) -> None:
        try:
            with translated("kms"):
                self._clients.get("kms").revoke_grant(KeyId=each.key, GrantId=each.id)
        except ServiceError as error:
            if error.code != "NotFoundException":  # gone already is what was wanted
                raise


def _serves(have: KeyGrant, needed: KeyGrant) -> bool:
    """Whether a grant does what another would: the same, of a wider access, or from when the key was minting too."""
    return (
        (have.name, have.key) == (needed.name, needed.key)
        and have.access in (needed.access, *_INCLUDED_IN[needed.access])
        and set(needed.operations) <= set(have.operations)
    )


def _exact(pattern: Pattern) -> str:
    if pattern.prefix is not None:
        raise InvalidArgumentError(
            f"a KMS grant is for one secret, and {pattern} is for many",
            hint="name each secret, or leave --kms-grant out: a policy takes prefixes",
        )
    return pattern.text

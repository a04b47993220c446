"""One inline policy of a role for one environment and purpose: what it says, and what it shall say.

The policy is the one that :mod:`dynastash.policy.document` writes, so what it grants is read back from it. One that was
changed by hand is not merged with anything: nobody could say what was meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dynastash.aws.clients import Clients, translated
from dynastash.errors import ConflictError, InvalidArgumentError, NotFoundError, ServiceError
from dynastash.policy.document import INLINE_LIMIT, NAME_KEY, Access, Json, Target, policy_document, size
from dynastash.policy.names import Pattern, parse_pattern, reduce_patterns

Wanted = Mapping[Access, Iterable[Pattern]]
_ROLE: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/(?:[^/]+/)*([\w+=,.@-]+)|([\w+=,.@-]{1,64})", re.ASCII)
KEY_GRANTS: Final = "kms-grant"
"""The purpose of the policy that goes with a role's KMS grants; no other policy may have it."""
_PURPOSE: Final = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of one inline policy. ``before`` and ``after`` are documents, None where there is none.

    ``lost`` are the patterns whose secrets the policy let the role read and does not any more.
    """

    role: str
    policy: str
    before: Json | None
    after: Json | None
    lost: tuple[Pattern, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether all stays as it is."""
        return self.before == self.after


def role_name(role: str) -> str:
    """The name of a role that is given by its name or ARN. Raises :class:`InvalidArgumentError`."""
    match = _ROLE.fullmatch(role)
    if match is None:
        raise InvalidArgumentError(
            f"{role[:100]!r} is not a role", hint="give a role's name, or its ARN: arn:aws:iam::ACCOUNT:role/NAME"
        )
    return match[1] or match[2]


def policy_name(environment: str, purpose: str | None) -> str:
    """The inline policy's name: ``dynastash-ENV``, with the purpose behind it."""
    if purpose is not None and not _PURPOSE.fullmatch(purpose):
        raise InvalidArgumentError(f"{purpose[:80]!r} is not a purpose", hint="use letters, digits and +=,.@-_")
    return f"dynastash-{environment}" + (f"-{purpose}" if purpose else "")


def check_size(document: Json) -> None:
    """Raise :class:`InvalidArgumentError` for a policy that is longer than a role's inline policies may be."""
    if size(document) > INLINE_LIMIT:
        raise InvalidArgumentError(
            f"the policy would have {size(document)} characters, and a role's inline policies have {INLINE_LIMIT}",
            hint="name prefixes such as app1/* instead of single secrets",
        )


class Grants:
    """Reads, plans and changes the inline policies of roles for one environment."""

    def __init__(self, clients: Clients, target: Target) -> None:
        self._clients = clients
        self._target = target

    def grant(self, role: str, wanted: Wanted, *, purpose: str | None = None, replace: bool = False) -> Change:
        """Plan to let ``role`` do ``wanted`` besides what its policy lets it already, or with ``replace`` instead."""
        name, policy = role_name(role), self._policy(purpose)
        before = self.read(name, policy)
        granted = {} if before is None or replace else self._granted(before, policy, name)
        together = {access: [*granted.get(access, ()), *wanted.get(access, ())] for access in Access}
        after = policy_document(self._target, together)
        if before is not None and not replace and _merged(granted) == _merged(together):
            after = before
        check_size(after)
        lost = self._lost(before, after) if before is not None and replace else ()
        return Change(role=name, policy=policy, before=before, after=after, lost=lost)

    def revoke(
        self,
        role: str,
        patterns: Iterable[Pattern] = (),
        *,
        purpose: str | None = None,
        elsewhere: Collection[Pattern] | None = None,
    ) -> Change:
        """Plan to take the policy from ``role``, or only ``patterns`` from it, which it must name as they are.

        Those that the role has ``elsewhere``, by KMS grants, it need not name, and with any it need not be there.
        """
        name, policy = role_name(role), self._policy(purpose)
        before = self.read(name, policy)
        taken = set(patterns)
        if before is None and elsewhere is not None and taken <= set(elsewhere):
            return Change(role=name, policy=policy, before=None, after=None)
        if before is None:
            raise NotFoundError(
                f"the role {name} has no policy {policy}",
                hint="`dynastash access --role` shows what lets it read, and --purpose names another policy of ours",
            )
        if not taken:
            return Change(role=name, policy=policy, before=before, after=None, lost=tuple(_opened(before)))
        granted = self._granted(before, policy, name)
        named = {each for patterns in granted.values() for each in patterns}
        if unknown := sorted(taken - named - set(elsewhere or ())):
            raise NotFoundError(
                f"the policy {policy} of the role {name} does not grant {unknown[0]} as such",
                hint=f"it grants {', '.join(sorted({str(one) for ones in granted.values() for one in ones}))}",
            )
        left = {access: [one for one in ones if one not in taken] for access, ones in granted.items()}
        after = policy_document(self._target, left) if any(left.values()) else None
        return Change(role=name, policy=policy, before=before, after=after, lost=self._lost(before, after))

    def apply(self, change: Change) -> None:
        """Carry a change out, unless the policy is no longer what it was planned from: :class:`ConflictError`."""
        if change.nothing:
            return
        self.check(change)
        client = self._clients.get("iam")
        with translated("iam"):
            if change.after is None:
                client.delete_role_policy(RoleName=change.role, PolicyName=change.policy)
            else:
                client.put_role_policy(
                    RoleName=change.role, PolicyName=change.policy, PolicyDocument=json.dumps(change.after)
                )

    def _policy(self, purpose: str | None) -> str:
        if purpose == KEY_GRANTS:
            raise InvalidArgumentError(
                f"the policy for the purpose {KEY_GRANTS} is written from a role's KMS grants alone",
                hint="give --kms-grant instead of --purpose, or another purpose; revoke takes it without a purpose",
            )
        return policy_name(self._target.environment, purpose)

    def check(self, change: Change) -> None:
        """Raise :class:`ConflictError` unless the policy still is what ``change`` was planned from."""
        if self.read(change.role, change.policy) != change.before:
            raise ConflictError(
                f"the policy {change.policy} of the role {change.role} was changed meanwhile; nothing was done",
                hint="look at it and try again",
            )

    def read(self, role: str, policy: str) -> Json | None:
        """The inline policy of that name, or None. Raises :class:`NotFoundError` for an unknown role."""
        client = self._clients.get("iam")
        try:
            with translated("iam"):
                found = client.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        except ServiceError as error:
            if error.code != "NoSuchEntity":
                raise
        else:
            document: Json = json.loads(found) if isinstance(found, str) else dict(found)
            return document
        self.role_arn(role)
        return None

    def role_arn(self, role: str) -> str:
        """The ARN of the role of that name. Raises :class:`NotFoundError` where there is none."""
        client = self._clients.get("iam")
        try:
            with translated("iam"):
                return str(client.get_role(RoleName=role)["Role"]["Arn"])
        except ServiceError as error:
            if error.code != "NoSuchEntity":
                raise
            raise NotFoundError(
                f"the account has no role {role}", hint="aws iam list-roles shows the roles; check the account"
            ) from error

    def _granted(self, document: Json, policy: str, role: str) -> dict[Access, list[Pattern]]:
        """What a policy of ours grants."""
        changed = ConflictError(
            f"the policy {policy} of the role {role} is not as dynastash writes it",
            hint="it was changed by hand, or the environment's keys have changed: look at it, and give --replace",
        )
        try:
            found = _granted(document)
            written = policy_document(self._target, found)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise changed from None
        if written != document:
            raise changed
        return found

    def _lost(self, before: Json | None, after: Json | None) -> tuple[Pattern, ...]:
        left = _opened(after) if after is not None else []
        return tuple(
            one for one in (_opened(before) if before is not None else ()) if not any(each.covers(one) for each in left)
        )


def _granted(document: Mapping[str, Any]) -> dict[Access, list[Pattern]]:
    """From the statements' conditions: a policy says what is opened, stored and pruned, and writes nothing else."""
    return {
        Access.READ: _patterns(document, "OpenValues"),
        Access.WRITE_ONLY: _patterns(document, "MintDataKeys"),
        Access.ROTATE: _patterns(document, "PruneInTransactions", "dynamodb:LeadingKeys"),
    }


def _opened(document: Mapping[str, Any]) -> list[Pattern]:
    """The patterns of the secrets that a policy of ours, or one that looks like it, lets the role open."""
    try:
        return _patterns(document, "OpenValues")
    except (KeyError, TypeError, AttributeError, ValueError):
        return [parse_pattern("*")]  # nobody knows: all of them


def _patterns(document: Mapping[str, Any], sid: str, key: str = NAME_KEY) -> list[Pattern]:
    for statement in document["Statement"]:
        if statement.get("Sid") in (sid, f"{sid}ByAlias"):
            operator = "StringLike" if key == NAME_KEY else "ForAllValues:StringLike"
            texts = statement["Condition"][operator][key]
            return [parse_pattern(text) for text in ([texts] if isinstance(texts, str) else texts)]
    return []


def _merged(wanted: Wanted) -> dict[Access, list[Pattern]]:
    """``wanted`` in one form, whatever way it is said: ROTATE includes WRITE, which includes READ."""
    rotate = list(wanted.get(Access.ROTATE, ()))
    write = [*wanted.get(Access.WRITE, ()), *rotate]
    return {
        Access.ROTATE: reduce_patterns(rotate),
        Access.WRITE: reduce_patterns(write),
        Access.WRITE_ONLY: reduce_patterns([*wanted.get(Access.WRITE_ONLY, ()), *write]),
        Access.READ: reduce_patterns([*wanted.get(Access.READ, ()), *write]),
    }

"""What a principal may do with a secret, by its own policies, its boundary, the key's policy and the key's grants.

Service control and resource control policies, session policies, VPC endpoint policies and a resource policy on the
table cannot be seen from here. All but the last only take away: so "cannot" is certain as far as the policies that were
read go, and "can" means that nothing that was read stands in the way. :attr:`Key.unseen` says what was not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dynastash.access.account import Principal
from dynastash.aws.clients import Clients, translated
from dynastash.errors import ServiceError
from dynastash.policy import operations
from dynastash.policy.conditions import all_of
from dynastash.policy.document import ENVIRONMENT_KEY, NAME_KEY, Access, Target
from dynastash.policy.evaluator import Decision, Document, Verdict, evaluate, evaluate_key, statements
from dynastash.policy.request import AMBIENT, Request

_CONTEXT: Final = "kms:EncryptionContext:"


@dataclass(frozen=True, slots=True)
class Key:
    """One key's policy and grants. ``policy`` is None where it could not be read; ``unseen`` says what was not."""

    arn: str
    policy: Document | None
    grants: tuple[Mapping[str, Any], ...] = ()
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rights:
    """What one principal may do with one secret. ``opens`` and ``replaces`` are with any client, ``uses`` with ours."""

    principal: Principal
    name: str
    uses: Mapping[Access, Verdict]
    opens: Verdict
    replaces: Verdict
    policies: tuple[str, ...] = ()
    """The principal's policies that allow opening it, by name; a grant as ``grant ID``."""

    @property
    def nothing(self) -> bool:
        """Whether it may neither open nor replace the secret, for certain."""
        return self.opens is self.replaces is Verdict.DENIED


def keys_of(target: Target, clients: Clients) -> list[Key]:
    """The policies and grants of the environment's keys, as far as the caller may read them."""
    client = clients.get("kms")
    found = []
    for arn in dict.fromkeys((target.key, *target.trusted_keys)):
        policy: Document | None = None
        grants: list[Mapping[str, Any]] = []
        unseen: list[str] = []
        try:
            with translated("kms"):
                policy = json.loads(client.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
        except (ServiceError, ValueError):
            unseen.append(f"the policy of {arn}")
        try:
            with translated("kms"):
                for page in client.get_paginator("list_grants").paginate(KeyId=arn):
                    grants += page.get("Grants", ())
        except ServiceError:
            unseen.append(f"the grants of {arn}")
        found.append(Key(arn, policy, tuple(grants), tuple(unseen)))
    return found


def strangers(keys: Sequence[Key], account: str) -> list[str]:
    """Whom the keys' policies and grants let in from elsewhere: other accounts, services, everybody."""
    found: dict[str, None] = {}
    for key in keys:
        for statement in statements(key.policy) if key.policy is not None else ():
            if statement.allows:
                for kind, named in _principals(statement.body.get("Principal", {})):
                    if kind != "AWS" or named == "*" or (account not in named.split(":") and named != account):
                        found[named] = None
        for grant in key.grants:
            grantee = str(grant.get("GranteePrincipal", ""))
            if grantee and account not in grantee.split(":"):
                found[grantee] = None
    return list(found)


def _principals(element: object) -> list[tuple[str, str]]:
    if element == "*":
        return [("AWS", "*")]
    if not isinstance(element, Mapping):
        return []
    return [(kind, str(one)) for kind, ones in element.items() for one in (ones if isinstance(ones, list) else [ones])]


def rights(principal: Principal, target: Target, keys: Sequence[Key], name: str) -> Rights:
    """What ``principal`` may do with the secret ``name``. Where a policy was not read, the answer is not "denied"."""

    def judge(request: Request) -> Decision:
        return _judge(principal, keys, request)

    return Rights(
        principal,
        name,
        {access: operations.permits(judge, access, target, name, AMBIENT) for access in Access},
        operations.may_open(judge, target, name, AMBIENT),
        operations.may_replace(judge, target, name, AMBIENT),
        _by(principal, keys, target, name),
    )


def _judge(principal: Principal, keys: Sequence[Key], request: Request) -> Decision:
    request = replace(request, principal=principal.arn)
    documents = principal.documents
    if request.action.startswith("kms:"):
        key = next((each for each in keys if each.arn == request.resource), None)
        if key is None or key.policy is None:
            own = evaluate(documents, request)
            decision = own if own.denied and own.explicit else Decision(Verdict.UNKNOWN, own.statements)
        else:
            decision = evaluate_key(key.policy, documents, request)
        decision = _limited(principal, decision, request)
        return _granted(principal, key, decision, request) if key is not None else decision
    return _limited(principal, evaluate(documents, request), request)


def _limited(principal: Principal, decision: Decision, request: Request) -> Decision:
    """``decision`` within the principal's boundary, and with what policies say that were not read."""
    if principal.boundary is not None and not decision.denied:
        limit = evaluate([principal.boundary], request)
        truth = all_of((decision.verdict.truth, limit.verdict.truth))
        decision = Decision(Verdict.of(truth), decision.statements, explicit=limit.explicit)
    if principal.missing and not (decision.denied and decision.explicit):
        return Decision(Verdict.UNKNOWN, decision.statements)
    return decision


def _granted(principal: Principal, key: Key, decision: Decision, request: Request) -> Decision:
    """``decision`` with the key's grants: they allow what nothing denies explicitly, whatever the boundary says."""
    if decision.allowed or (decision.denied and decision.explicit):
        return decision
    refused = key.policy is not None and evaluate_key(key.policy, principal.documents, request).explicit
    for grant in key.grants:
        if not refused and grant.get("GranteePrincipal") == principal.arn and _covers(grant, request):
            return Decision(Verdict.ALLOWED, (f"grant {grant.get('GrantId', '?')}",))
    unseen = any(each.startswith("the grants") for each in key.unseen)
    return Decision(Verdict.UNKNOWN, decision.statements) if unseen and not refused else decision


def _covers(grant: Mapping[str, Any], request: Request) -> bool:
    if request.action.removeprefix("kms:") not in grant.get("Operations", ()):
        return False
    sent = {name[len(_CONTEXT) :]: values for name, values in request.context.items() if name.startswith(_CONTEXT)}
    constraints = grant.get("Constraints", {}) or {}
    subset, equal = constraints.get("EncryptionContextSubset"), constraints.get("EncryptionContextEquals")
    if equal is not None and equal != sent:
        # Version and format are ours to fill in; a grant for one version alone still opens that one.
        free = {name: text for name, text in equal.items() if not name.endswith((":version", ":format"))}
        return all(sent.get(name) == text for name, text in free.items())
    return subset is None or all(sent.get(name) == text for name, text in subset.items() if ":version" not in name)


def _by(principal: Principal, keys: Sequence[Key], target: Target, name: str) -> tuple[str, ...]:
    """The policies of the principal's that allow opening the secret's data keys."""
    request = replace(operations.key_request("kms:Decrypt", target, name, unknown=AMBIENT), principal=principal.arn)
    found = [where for where, document in principal.policies if not evaluate([document], request).denied]
    found += [
        f"grant {grant.get('GrantId', '?')}"
        for key in keys
        for grant in key.grants
        if grant.get("GranteePrincipal") == principal.arn and _covers(grant, request)
    ]
    return tuple(found)


def simulated(principal: Principal, target: Target, clients: Clients, name: str) -> Verdict:
    """IAM's own answer to whether the principal may Query the secret's records and Decrypt its keys.

    It knows service control policies, and no key's policy. Raises :class:`ServiceError`.
    """
    client = clients.get("iam")
    context = [
        {"ContextKeyName": ENVIRONMENT_KEY, "ContextKeyValues": [target.environment], "ContextKeyType": "string"},
        {"ContextKeyName": NAME_KEY, "ContextKeyValues": [name], "ContextKeyType": "string"},
        {
            "ContextKeyName": "kms:EncryptionContextKeys",
            "ContextKeyValues": ["dynastash:env", "dynastash:format", "dynastash:name", "dynastash:version"],
            "ContextKeyType": "stringList",
        },
        {"ContextKeyName": "dynamodb:LeadingKeys", "ContextKeyValues": [name], "ContextKeyType": "stringList"},
    ]
    answers = []
    for action, resource in (("dynamodb:Query", target.table), ("kms:Decrypt", target.key)):
        with translated("iam"):
            reply = client.simulate_principal_policy(
                PolicySourceArn=principal.arn,
                ActionNames=[action],
                ResourceArns=[resource],
                ContextEntries=context,
            )
        answers += [each["EvalDecision"] == "allowed" for each in reply["EvaluationResults"]]
    return Verdict.of(bool(answers) and all(answers))

"""KMS grants as ``dynastash grant`` and ``dynastash revoke`` show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynastash.cli.output import counted

if TYPE_CHECKING:
    from dynastash.access.keygrants import KeyChange, KeyGrant


def lines(change: KeyChange) -> list[str]:
    """One for each grant that is made (+) or revoked (-)."""
    return [f"{sign} {_said(each)}" for sign, ones in (("+", change.made), ("-", change.revoked)) for each in ones]


def question(change: KeyChange) -> str:
    """What is to be agreed to."""
    what = []
    if change.made:
        what.append(f"make {counted(len(change.made), 'KMS grant')}")
    if change.revoked:
        what.append(f"revoke {counted(len(change.revoked), 'KMS grant')}")
    policy = change.policy
    if not policy.nothing:
        verb = "attach" if policy.before is None else "take back" if policy.after is None else "change"
        what.append(f"{verb} the policy {policy.policy}")
    return f"{' and '.join(what)}, for the role {policy.role}?"


def told(change: KeyChange) -> str:
    """What was done."""
    done = []
    if change.made:
        done.append(f"made {counted(len(change.made), 'KMS grant')}")
    if change.revoked:
        done.append(f"revoked {counted(len(change.revoked), 'KMS grant')}")
    policy = change.policy
    if not policy.nothing:
        verb = "attached" if policy.before is None else "took back" if policy.after is None else "changed"
        done.append(f"{verb} the policy {policy.policy}")
    slow = "; KMS takes up to 5 minutes to know it everywhere" if change.made or change.revoked else ""
    return f"{' and '.join(done)}, for the role {policy.role}{slow}"


def data(change: KeyChange) -> dict[str, Any]:
    """As ``kms_grants`` of the JSON output."""
    return {
        "grantee": change.grantee,
        "policy": change.policy.policy,
        "before": change.policy.before,
        "after": change.policy.after,
        **{
            fate: [
                {
                    "name": each.name,
                    "access": str(each.access),
                    "key": each.key,
                    "operations": list(each.operations),
                    "id": each.id or None,
                }
                for each in ones
            ]
            for fate, ones in (("made", change.made), ("kept", change.kept), ("revoked", change.revoked))
        },
    }


def _said(each: KeyGrant) -> str:
    identity = f", grant {each.id}" if each.id else ""
    return (
        f"KMS grant to {each.access} {each.name or '(not said)'}: {', '.join(each.operations)} on {each.key}{identity}"
    )

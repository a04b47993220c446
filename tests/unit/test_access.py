"""Who may read what, and policies of roles planned and taken back: on documents alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynastash.access import account, grants, readers
from dynastash.access.account import Principal
from dynastash.access.grants import Grants, role_name
from dynastash.access.readers import Key
from dynastash.errors import ConflictError, InvalidArgumentError, NotFoundError
from dynastash.policy.document import Access, policy_document
from dynastash.policy.evaluator import Verdict
from dynastash.policy.names import Pattern, parse_pattern
from tests.unit.access_kit import ACCOUNT, KEY, TARGET, Iam, wanted

ROLE = f"arn:aws:iam::{ACCOUNT}:role/app1-role"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
DELEGATING = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}


def reading(*names: str) -> dict[str, Any]:
    return policy_document(TARGET, {Access.READ: [parse_pattern(name) for name in names]})


def principal(*documents: Mapping[str, Any], **more: Any) -> Principal:
    return Principal(ROLE, tuple((f"p{number}", each) for number, each in enumerate(documents)), **more)


def opens(who: Principal, name: str = "app1/db", *, key: Key | None = None) -> Verdict:
    return readers.rights(who, TARGET, [key or Key(KEY, DELEGATING)], name).opens


# Who may read


def test_a_policy_opens_its_prefix_and_no_other() -> None:
    """And says so by its name."""
    who = principal(reading("app1/*"))
    rights = readers.rights(who, TARGET, [Key(KEY, DELEGATING)], "app1/db")
    assert (rights.opens, rights.replaces, rights.policies) == (Verdict.ALLOWED, Verdict.DENIED, ("p0",))
    assert (rights.uses[Access.READ], rights.uses[Access.WRITE]) == (Verdict.ALLOWED, Verdict.DENIED)
    for name in ("app10/db", "app2/db", "app1"):
        assert readers.rights(who, TARGET, [Key(KEY, DELEGATING)], name).nothing


def test_a_boundary_takes_away() -> None:
    """An administrator within a boundary that does not know dynastash reads nothing."""
    assert opens(principal(EVERYTHING)) is Verdict.ALLOWED
    assert opens(principal(EVERYTHING, boundary=reading("app2/*"))) is Verdict.DENIED
    assert opens(principal(EVERYTHING, boundary=reading("app1/*"))) is Verdict.ALLOWED


def test_the_key_s_policy_decides_too() -> None:
    """Where it does not let the account's policies speak, they say nothing; where it denies, nobody reads."""
    nobody = {"Version": "2012-10-17", "Statement": []}
    assert opens(principal(EVERYTHING), key=Key(KEY, nobody)) is Verdict.DENIED
    denying = copy.deepcopy(DELEGATING)
    denying["Statement"].append({"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"})  # type: ignore[attr-defined]
    assert opens(principal(EVERYTHING), key=Key(KEY, denying)) is Verdict.DENIED


def test_what_was_not_read_is_no_denial() -> None:
    """A key's policy, a managed policy's document, the grants: "cannot say" and never "no"."""
    assert opens(principal(EVERYTHING), key=Key(KEY, None)) is Verdict.UNKNOWN
    assert opens(principal(missing=("arn:aws:iam::aws:policy/New",))) is Verdict.UNKNOWN
    only_the_table = reading("app1/*")
    only_the_table["Statement"] = [each for each in only_the_table["Statement"] if each["Sid"] == "ReadRecords"]
    assert opens(principal(only_the_table)) is Verdict.DENIED
    assert opens(principal(only_the_table), key=Key(KEY, DELEGATING, unseen=("the grants of x",))) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("constraints", "verdict"),
    [
        ({}, Verdict.ALLOWED),
        ({"EncryptionContextSubset": {"dynastash:env": "prod", "dynastash:name": "app1/db"}}, Verdict.ALLOWED),
        ({"EncryptionContextSubset": {"dynastash:name": "app1/other"}}, Verdict.DENIED),
        (
            {
                "EncryptionContextEquals": {
                    "dynastash:env": "prod",
                    "dynastash:name": "app1/db",
                    "dynastash:version": "7",
                    "dynastash:format": "1",
                }
            },
            Verdict.ALLOWED,
        ),
    ],
)
def test_a_grant_of_the_key_s_counts(constraints: dict[str, Any], verdict: Verdict) -> None:
    """For its grantee, its operations and its context; with a right on the table only."""
    table = reading("app1/*")
    table["Statement"] = [each for each in table["Statement"] if each["Sid"] == "ReadRecords"]
    grant = {"GrantId": "g1", "GranteePrincipal": ROLE, "Operations": ["Decrypt"], "Constraints": constraints}
    assert opens(principal(table), key=Key(KEY, DELEGATING, (grant,))) is verdict
    for other in ({"GranteePrincipal": f"{ROLE}2"}, {"Operations": ["Encrypt"]}):
        assert opens(principal(table), key=Key(KEY, DELEGATING, ({**grant, **other},))) is Verdict.DENIED


def test_strangers_are_named() -> None:
    """Other accounts, services and everybody, by a key's policy or its grants."""
    policy = copy.deepcopy(DELEGATING)
    policy["Statement"] += [  # type: ignore[operator]
        {"Effect": "Allow", "Principal": {"AWS": ["444455556666", ROLE]}, "Action": "kms:Decrypt", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "kms:Decrypt", "Resource": "*"},
    ]
    grant = {"GranteePrincipal": "arn:aws:iam::777788889999:root"}
    found = readers.strangers([Key(KEY, policy, (grant,))], ACCOUNT)
    assert found == ["444455556666", "s3.amazonaws.com", "arn:aws:iam::777788889999:root"]
    assert readers.strangers([Key(KEY, DELEGATING)], ACCOUNT) == []


# The account's principals


def test_groups_managed_policies_and_boundaries_belong_to_a_principal() -> None:
    """All that speaks for it, and the names of what IAM did not give."""
    described = {
        "Arn": f"arn:aws:iam::{ACCOUNT}:user/path/alice",
        "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": EVERYTHING}],
        "AttachedManagedPolicies": [{"PolicyName": "Gone", "PolicyArn": "arn:gone"}],
        "PermissionsBoundary": {"PermissionsBoundaryArn": "arn:limit"},
    }
    group = {
        "GroupName": "team",
        "GroupPolicyList": [{"PolicyName": "g", "PolicyDocument": DELEGATING}],
        "AttachedManagedPolicies": [{"PolicyName": "Shared", "PolicyArn": "arn:shared"}],
    }
    found = account._principal(described, {"arn:shared": reading("a/*"), "arn:limit": EVERYTHING}, [group])
    assert (found.kind, found.name) == ("user", "alice")
    assert [where for where, _ in found.policies] == ["own", "group team: g", "group team: Shared"]
    assert (found.boundary, found.missing) == (EVERYTHING, ("arn:gone",))


# Grants


def test_granting_adds_and_does_not_repeat() -> None:
    """Read first, then write: one policy with both; the same again, or less than it has, changes nothing."""
    iam = Iam(app1={})
    it = Grants(iam, TARGET)  # type: ignore[arg-type]
    first = it.grant("app1", wanted(read=["app1/*"]))
    assert (first.policy, first.before, first.lost) == ("dynastash-prod", None, ())
    it.apply(first)
    second = it.grant("app1", wanted(write=["app2/db"]))
    it.apply(second)
    assert iam.roles["app1"]["dynastash-prod"] == policy_document(TARGET, wanted(read=["app1/*"], write=["app2/db"]))
    for again in (wanted(read=["app1/*"]), wanted(read=["app1/db", "app2/db"]), wanted(write=["app2/db"])):
        change = it.grant("app1", again)
        assert change.nothing
        it.apply(change)
    assert iam.calls == ["put", "put"]


def test_replacing_loses_what_is_not_named() -> None:
    """And says which secrets that are."""
    it = Grants(Iam(app1={"dynastash-prod": reading("app1/*", "app2/*")}), TARGET)  # type: ignore[arg-type]
    change = it.grant("app1", wanted(read=["app2/*"]), replace=True)
    assert change.after == reading("app2/*") and [str(each) for each in change.lost] == ["app1/*"]


def test_revoking() -> None:
    """All of it, or a pattern that it names."""
    iam = Iam(app1={"dynastash-prod": policy_document(TARGET, wanted(read=["app1/*"], rotate=["app2/db"]))})
    it = Grants(iam, TARGET)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="does not grant app1/db as such") as caught:
        it.revoke("app1", wanted(read=["app1/db"])[Access.READ])
    assert caught.value.hint == "it grants app1/*, app2/db"
    part = it.revoke("app1", [parse_pattern("app2/db")])
    assert part.after == reading("app1/*") and [str(each) for each in part.lost] == ["app2/db"]
    whole = it.revoke("app1")
    assert whole.after is None and sorted(map(str, whole.lost)) == ["app1/*", "app2/db"]
    it.apply(whole)
    assert iam.roles == {"app1": {}} and iam.calls == ["delete"]
    with pytest.raises(NotFoundError, match="has no policy dynastash-prod"):
        it.revoke("app1")


def test_a_policy_that_was_changed_by_hand_is_not_merged() -> None:
    """Nobody could say what was meant; --replace writes it anew, and revoke takes it as a whole."""
    changed = reading("app1/*")
    changed["Statement"][0]["Action"] = ["dynamodb:*"]
    for document in (changed, EVERYTHING, {"Statement": "x"}, {"Statement": [{"Sid": "OpenValues"}]}, {}):
        it = Grants(Iam(app1={"dynastash-prod": document}), TARGET)  # type: ignore[arg-type]
        with pytest.raises(ConflictError, match="not as dynastash writes it"):
            it.grant("app1", wanted(read=["app2/*"]))
        with pytest.raises(ConflictError):
            it.revoke("app1", [parse_pattern("app1/*")])
        assert it.grant("app1", wanted(read=["app2/*"]), replace=True).after == reading("app2/*")
        assert it.revoke("app1").after is None
    broken = Grants(Iam(app1={"dynastash-prod": {"Statement": [{"Sid": "OpenValues"}]}}), TARGET)  # type: ignore[arg-type]
    assert [str(each) for each in broken.revoke("app1").lost] == ["*"]


def test_a_policy_that_changed_meanwhile_is_left_alone() -> None:
    """Between the question and the answer."""
    iam = Iam(app1={})
    it = Grants(iam, TARGET)  # type: ignore[arg-type]
    change = it.grant("app1", wanted(read=["app1/*"]))
    iam.roles["app1"]["dynastash-prod"] = reading("app9/*")
    with pytest.raises(ConflictError, match="changed meanwhile"):
        it.apply(change)
    assert iam.calls == []


def test_what_cannot_be_granted() -> None:
    """An unknown role, a role that is none, a policy that is too long."""
    it = Grants(Iam(app1={}), TARGET)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="no role nobody"):
        it.grant("nobody", wanted(read=["app1/*"]))
    with pytest.raises(InvalidArgumentError, match="characters"):
        it.grant("app1", wanted(read=[f"app1/{'x' * 100}{number}" for number in range(60)]))
    for role in ("", "a b", "arn:aws:iam::1:role/x", f"arn:aws:iam::{ACCOUNT}:user/x", "x" * 65, "app1\n"):
        with pytest.raises(InvalidArgumentError, match="not a role"):
            role_name(role)
    assert role_name(f"arn:aws:iam::{ACCOUNT}:role/service/app1-role") == role_name("app1-role") == "app1-role"
    assert grants.policy_name("prod", "ci") == "dynastash-prod-ci"
    with pytest.raises(InvalidArgumentError, match="not a purpose"):
        grants.policy_name("prod", "a/b")


_PATTERNS = st.lists(
    st.sampled_from(["*", "app1/*", "app1/db/*", "app1/db/x", "app2/*", "app2/x", "single"]).map(parse_pattern),
    max_size=4,
)


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(list(Access)), _PATTERNS), st.dictionaries(st.sampled_from(list(Access)), _PATTERNS)
)
def test_what_a_policy_grants_is_read_back_from_it(
    first: dict[Access, list[Pattern]], more: dict[Access, list[Pattern]]
) -> None:
    """In whatever mixture: granting twice is granting both at once."""
    if not any(first.values()) or not any(more.values()):
        return
    iam = Iam(app1={})
    it = Grants(iam, TARGET)  # type: ignore[arg-type]
    it.apply(it.grant("app1", first))
    assert iam.roles["app1"]["dynastash-prod"] == policy_document(TARGET, first)
    assert it.grant("app1", first).nothing
    both = {access: [*first.get(access, ()), *more.get(access, ())] for access in Access}
    change = it.grant("app1", more)
    assert change.after == policy_document(TARGET, both)

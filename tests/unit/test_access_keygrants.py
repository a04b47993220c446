"""KMS grants for single secrets: planned, made, found again and revoked, on an account in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynastash.access.account import Principal
from dynastash.access.grants import Grants
from dynastash.access.keygrants import KeyGrants, grant_name
from dynastash.access.readers import Key, rights
from dynastash.errors import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    ServiceAccessDeniedError,
    ServiceError,
)
from dynastash.policy.document import Access, policy_document, without_keys
from dynastash.policy.evaluator import Verdict
from dynastash.policy.names import EVERYTHING, Pattern
from tests.unit.access_kit import ACCOUNT, KEY, TARGET, Account, wanted

FORMER = KEY[:-1] + "c"
ARN = f"arn:aws:iam::{ACCOUNT}:role/service/app1"
POLICY = "dynastash-prod-kms-grant"
OWN = {"Version": "2012-10-17", "Statement": [{"Sid": "AccountManagesTheKey", "Effect": "Allow", "Action": "kms:*"}]}
OWN["Statement"][0] |= {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Resource": "*"}  # type: ignore[index]


def grants(account: Account, target: Any = TARGET) -> KeyGrants:
    return KeyGrants(account, target)  # type: ignore[arg-type]


def give(account: Account, *, target: Any = TARGET, **names: list[str]) -> None:
    it = grants(account, target)
    it.apply(it.grant("app1", wanted(**names)))


def kms_actions(document: Any) -> list[str]:
    return [action for action in str(document).split("'") if action.startswith("kms:")]


def may(account: Account, name: str) -> dict[Access, Verdict]:
    policies = tuple(account.iam.roles["app1"].items())
    return dict(rights(Principal(ARN, policies), TARGET, [Key(KEY, OWN, tuple(account.kms.grants))], name).uses)


@pytest.mark.parametrize(
    ("access", "operations", "former"),
    [
        ("read", ["Decrypt"], ["Decrypt"]),
        ("write", ["Decrypt", "GenerateDataKey"], ["Decrypt"]),
        ("write_only", ["GenerateDataKey"], None),
        ("rotate", ["Decrypt", "GenerateDataKey"], ["Decrypt"]),
    ],
)
def test_a_grant_opens_one_secret_and_its_policy_no_key(
    access: str, operations: list[str], former: list[str] | None
) -> None:
    """The least operations, on trusted keys only opening; the constraint names environment and secret."""
    account = Account(app1={})
    give(account, target=replace(TARGET, trusted_keys=(FORMER,)), **{access: ["app1/db"]})
    made = {each["KeyId"]: each for each in account.kms.grants}
    assert made[KEY]["Operations"] == operations and made[KEY]["GranteePrincipal"] == ARN
    assert made[KEY]["Constraints"] == {
        "EncryptionContextSubset": {"dynastash:env": "prod", "dynastash:name": "app1/db"}
    }
    assert made[KEY]["Name"].startswith(f"dynastash-prod-{access.replace('_', '-')}-")
    assert (made[FORMER]["Operations"] if FORMER in made else None) == former
    attached = account.iam.roles["app1"]
    assert list(attached) == [POLICY] and kms_actions(attached) == []
    assert attached[POLICY] == without_keys(policy_document(TARGET, wanted(**{access: ["app1/db"]})))


def test_what_is_granted_works_and_nothing_beside_it() -> None:
    """As `access` judges it, with the key's policy, the inline policy and the grants."""
    account = Account(app1={})
    give(account, read=["app1/db"], write=["app1/token"], write_only=["app1/drop"], rotate=["app1/key"])
    uses = {
        "app1/db": {Access.READ},
        "app1/token": {Access.READ, Access.WRITE, Access.WRITE_ONLY},
        "app1/drop": {Access.WRITE_ONLY},
        "app1/key": set(Access),
        "app1/db2": set(),
        "app1": set(),
    }
    for name, expected in uses.items():
        found = may(account, name)
        assert {access for access in Access if found[access] is Verdict.ALLOWED} == expected, name
    account.kms.grants.clear()
    assert all(verdict is Verdict.DENIED for name in uses for verdict in may(account, name).values())


def test_granting_again_changes_nothing() -> None:
    """Nor what a wider grant includes; one secret more is one grant more."""
    account = Account(app1={})
    give(account, read=["app1/db"], rotate=["app1/key"])
    assert len(account.kms.grants) == 2
    for again in ({"read": ["app1/db"]}, {"read": ["app1/key"], "write": ["app1/key"], "write_only": ["app1/key"]}):
        assert grants(account).grant("app1", wanted(**again)).nothing
    change = grants(account).grant("app1", wanted(read=["app1/db", "app1/new"]))
    assert ([each.name for each in change.made], len(change.kept)) == (["app1/new"], 2)
    wider = grants(account).grant("app1", wanted(write=["app1/db"]))
    assert [(each.access, each.operations) for each in wider.made] == [(Access.WRITE, ("Decrypt", "GenerateDataKey"))]
    both = grants(Account(app1={})).grant("app1", wanted(read=["x"], write=["x"], write_only=["x"]))
    assert [each.access for each in both.made] == [Access.WRITE]


def test_patterns_are_refused() -> None:
    """A constraint takes exact values only."""
    for pattern in ("app1/*", "*", "${aws:PrincipalTag/dynastash-prefix}/*"):
        account = Account(app1={})
        with pytest.raises(InvalidArgumentError, match="is for one secret") as caught:
            grants(account).grant("app1", wanted(read=["app1/db", pattern]))
        assert "leave --kms-grant out" in (caught.value.hint or "")
        assert account.kms.calls == []


def test_other_grants_are_not_ours() -> None:
    """Of another grantee, environment or name: neither counted nor revoked, even where the endpoint lists them."""
    account = Account(app1={})
    give(account, read=["app1/db"])
    (ours,) = account.kms.grants
    others = [
        {**ours, "GranteePrincipal": f"{ARN}0"},
        {**ours, "Name": ours["Name"].replace("prod", "test")},
        {**ours, "Name": "backup"},
        {**ours, "Name": ""},
        {**ours, "Name": f"{ours['Name']}0"},
    ]
    account.kms.grants[:] = [{**each, "GrantId": f"other{n}"} for n, each in enumerate(others)]
    assert len(grants(account).grant("app1", wanted(read=["app1/db"])).made) == 1
    assert grants(account).revoke("app1").revoked == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"Constraints": {}},
        {"Constraints": {"EncryptionContextSubset": {"dynastash:name": "app1/db"}}},
        {"Constraints": {"EncryptionContextSubset": {"dynastash:env": "prod", "dynastash:name": "app2/db"}}},
        {"Constraints": {"EncryptionContextSubset": {"dynastash:env": "test", "dynastash:name": "app1/db"}}},
    ],
)
def test_a_grant_of_our_name_that_says_something_else_does_not_count(changed: dict[str, Any]) -> None:
    """It is revoked with all the others, and nobody can say what was lost by it: everything."""
    account = Account(app1={})
    give(account, read=["app1/db"])
    account.kms.grants[0].update(changed)
    assert len(grants(account).grant("app1", wanted(read=["app1/db"])).made) == 1
    change = grants(account).revoke("app1")
    assert len(change.revoked) == 1 and change.lost == (EVERYTHING,)
    assert grants(account).revoke("app1", [Pattern("app1/db")]).revoked == ()


def test_a_grant_with_fewer_operations_is_not_enough() -> None:
    """One with more is: of a key that was the minting one before a move."""
    account = Account(app1={})
    give(account, write=["app1/db"])
    moved = replace(TARGET, key=FORMER, trusted_keys=(KEY,))
    change = grants(account, moved).grant("app1", wanted(write=["app1/db"]))
    assert [(each.key, each.operations) for each in change.made] == [(FORMER, ("Decrypt", "GenerateDataKey"))]
    account.kms.grants[0]["Operations"] = ["GenerateDataKey"]
    assert len(grants(account).grant("app1", wanted(write=["app1/db"])).made) == 1


def test_revoking() -> None:
    """One secret, then the rest; what is still granted otherwise is not lost."""
    account = Account(app1={})
    give(account, read=["app1/db", "app1/token"])
    give(account, write=["app1/db"])
    it = grants(account)
    part = it.revoke("app1", [Pattern("app1/token")])
    assert (part.names, part.lost) == ({Pattern("app1/token")}, (Pattern("app1/token"),))
    it.apply(part)
    left = without_keys(policy_document(TARGET, wanted(read=["app1/db"], write=["app1/db"])))
    assert account.iam.roles["app1"][POLICY] == left
    narrower = it.grant("app1", wanted(write=["app1/db"]), replace=True)
    assert ([each.access for each in narrower.revoked], narrower.lost) == ([Access.READ], ())
    whole = it.revoke("app1")
    assert len(whole.revoked) == 2 and whole.lost == (Pattern("app1/db"),)
    it.apply(whole)
    assert account.kms.grants == [] and account.iam.roles == {"app1": {}}
    assert it.revoke("app1").nothing


def test_revoking_a_name_that_no_grant_is_for_leaves_the_policy_alone() -> None:
    """Even one that lags behind the grants: the name is another policy's."""
    account = Account(app1={})
    give(account, read=["app1/db"])
    account.iam.roles["app1"][POLICY] = policy_document(TARGET, wanted(read=["app9/*"]))
    assert grants(account).revoke("app1", [Pattern("app2/db")]).nothing
    assert not grants(account).revoke("app1", [Pattern("app1/db")]).nothing


def test_replacing_revokes_what_is_not_named() -> None:
    """After the new grants are made."""
    account = Account(app1={})
    give(account, read=["app1/db", "app1/token"])
    it = grants(account)
    change = it.grant("app1", wanted(read=["app1/token", "app1/new"]), replace=True)
    it.apply(change)
    assert change.lost == (Pattern("app1/db"),)
    names = [each["Constraints"]["EncryptionContextSubset"]["dynastash:name"] for each in account.kms.grants]
    assert names == ["app1/token", "app1/new"]
    assert account.iam.roles["app1"][POLICY] == without_keys(
        policy_document(TARGET, wanted(read=["app1/token", "app1/new"]))
    )


def test_who_may_not_make_grants_has_changed_nothing() -> None:
    """The policy comes after the first grant; a full key says so."""
    for code, error in (("AccessDeniedException", ServiceAccessDeniedError), ("LimitExceededException", ServiceError)):
        account = Account(app1={})
        account.kms.refuse["CreateGrant"] = code
        with pytest.raises(error) as caught:
            give(account, read=["app1/db"])
        assert account.iam.roles == {"app1": {}}
    assert "50,000" in (caught.value.hint or "")


def test_a_command_that_was_cut_off_is_finished_by_the_same_command() -> None:
    """Grants without their policy, and a policy taken back before its grants."""
    account = Account(app1={})
    give(account, read=["app1/db"])
    policy = account.iam.roles["app1"].pop(POLICY)
    change = grants(account).grant("app1", wanted(read=["app1/db"]))
    assert change.made == () and not change.nothing
    grants(account).apply(change)
    assert account.iam.roles["app1"][POLICY] == policy
    account.kms.refuse["RevokeGrant"] = "KMSInternalException"
    with pytest.raises(ServiceError):
        grants(account).apply(grants(account).revoke("app1"))
    assert account.iam.roles == {"app1": {}}
    account.kms.refuse.clear()
    grants(account).apply(grants(account).revoke("app1"))
    assert account.kms.grants == []


def test_a_grant_that_is_gone_already_is_revoked() -> None:
    """By somebody else meanwhile."""
    account = Account(app1={})
    give(account, read=["app1/db"])
    change = grants(account).revoke("app1")
    account.kms.grants.clear()
    grants(account).apply(change)


def test_a_policy_that_changed_meanwhile_makes_no_grant() -> None:
    """Between the question and the answer."""
    account = Account(app1={})
    change = grants(account).grant("app1", wanted(read=["app1/db"]))
    account.iam.roles["app1"][POLICY] = policy_document(TARGET, wanted(read=["app9/*"]))
    with pytest.raises(ConflictError):
        grants(account).apply(change)
    assert account.kms.grants == []


def test_grants_that_cannot_be_listed_do_not_stand_in_the_way() -> None:
    """Of taking a policy back; where there are some for certain, they do."""
    account = Account(app1={})
    account.kms.refuse["ListGrants"] = "AccessDeniedException"
    change = grants(account).revoke("app1")
    assert change.nothing and isinstance(change.unseen, ServiceAccessDeniedError)
    account.iam.roles["app1"][POLICY] = {}
    with pytest.raises(ServiceAccessDeniedError):
        grants(account).revoke("app1")


def test_whom_and_what_a_grant_cannot_be_for() -> None:
    """A role of another account, a key whose ARN is not known, an unknown role."""
    account = Account(app1={})
    with pytest.raises(NotFoundError, match="but arn:aws:iam::111122223333:role/service/app1"):
        grants(account).grant("arn:aws:iam::444455556666:role/service/app1", wanted(read=["app1/db"]))
    assert grants(account).grant(ARN, wanted(read=["app1/db"])).grantee == ARN
    with pytest.raises(NotFoundError, match="no role app2"):
        grants(account).grant("app2", wanted(read=["app1/db"]))
    by_alias = replace(TARGET, key="alias/dynastash-prod", keys=f"{KEY[:-36]}*")
    with pytest.raises(ServiceAccessDeniedError, match="by its ARN"):
        grants(account, by_alias).grant("app1", wanted(read=["app1/db"]))


def test_the_purpose_of_the_grants_policy_is_no_other_policy_s() -> None:
    """Else `grant --purpose` would write into what is made from grants."""
    it = Grants(Account(app1={}), TARGET)  # type: ignore[arg-type]
    for act in (
        lambda: it.grant("app1", wanted(read=["a"]), purpose="kms-grant"),
        lambda: it.revoke("app1", purpose="kms-grant"),
    ):
        with pytest.raises(InvalidArgumentError, match="KMS grants alone"):
            act()


def test_a_policy_need_not_name_what_a_grant_does() -> None:
    """Nor be there; what neither has is still refused."""
    account = Account(app1={})
    it = Grants(account, TARGET)  # type: ignore[arg-type]
    name = Pattern("app1/db")
    assert it.revoke("app1", [name], elsewhere={name}).nothing
    assert it.revoke("app1", elsewhere=()).nothing
    with pytest.raises(NotFoundError):
        it.revoke("app1", [name, Pattern("x")], elsewhere={name})
    it.apply(it.grant("app1", wanted(read=["app2/*", "app1/token"])))
    assert it.revoke("app1", [name], elsewhere={name}).nothing
    both = it.revoke("app1", [name, Pattern("app1/token")], elsewhere={name})
    assert both.after == policy_document(TARGET, wanted(read=["app2/*"]))
    with pytest.raises(NotFoundError, match="app9"):
        it.revoke("app1", [name, Pattern("app9")], elsewhere={name})


_NAMES = st.dictionaries(
    st.sampled_from(list(Access)), st.lists(st.sampled_from(["a", "a/b", "A", "a-b"]).map(Pattern), max_size=3)
)


@settings(max_examples=50, deadline=None)
@given(_NAMES, _NAMES)
def test_grants_are_found_again(first: dict[Access, list[Pattern]], more: dict[Access, list[Pattern]]) -> None:
    """In whatever mixture: the same again is nothing, and all that was made is revoked."""
    account = Account(app1={})
    it = grants(account)
    for each in (first, more):
        it.apply(it.grant("app1", each))
        assert it.grant("app1", each).nothing
    assert it.grant("app1", first).nothing
    for each in (first, more):
        for access, names in each.items():
            assert all(may(account, name.text)[access] is Verdict.ALLOWED for name in names)
    it.apply(it.revoke("app1"))
    assert account.kms.grants == [] and account.iam.roles == {"app1": {}}


def test_a_grant_s_name_is_kms_s_kind_and_its_own() -> None:
    """At most 256 of its characters, whatever the secret is called."""
    import re

    names = {grant_name("e" * 31, access, name) for access in Access for name in ("x" * 512, "a.b/c_d", "a.b/c-d")}
    assert len(names) == 12 and all(re.fullmatch(r"[a-zA-Z0-9:/_-]{1,256}", name) for name in names)

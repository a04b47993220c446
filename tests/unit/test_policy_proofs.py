"""Least privilege, proved by evaluation: beside each permission what it must not give.

Two evaluators answer, the product's and the tests' own. No emulator evaluates these conditions.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dynastash.policy.check import opened
from dynastash.policy.document import Access, policy_document
from dynastash.policy.evaluator import Verdict, evaluate
from dynastash.policy.findings import too_wide
from dynastash.policy.names import BY_TAG, EVERYTHING, parse_pattern
from dynastash.policy.operations import may_open, may_replace
from dynastash.policy.request import Request
from tests.policies import (
    DEV,
    ENV,
    KEY,
    NAME,
    OLD_KEY,
    OTHER_KEY,
    PROD,
    allowed,
    anywhere,
    attempts,
    document,
    does,
    index,
    key,
    table,
    with_keys,
    without,
)

READER, WRITER, ROTATOR = document(read="app1/*"), document(write="app1/*"), document(rotate="app1/*")
WRITE_ONLY, ADMIN = document(write_only="app1/*"), document(administer=True)
APPLICATIONS = [
    pytest.param(READER, id="reader"),
    pytest.param(WRITER, id="writer"),
    pytest.param(ROTATOR, id="rotator"),
    pytest.param(WRITE_ONLY, id="write-only"),
]
OWN = "app1/db/password"
FOREIGN = ["app10/db/password", "app/db/password", "app1", "app1-old/x", "app2/app1/x", "xapp1/x", "APP1/db/password"]


@pytest.mark.parametrize(
    ("policy", "can", "cannot"),
    [
        (READER, [Access.READ], [Access.WRITE, Access.WRITE_ONLY, Access.ROTATE]),
        (WRITER, [Access.READ, Access.WRITE, Access.WRITE_ONLY], [Access.ROTATE]),
        (ROTATOR, list(Access), []),
        (WRITE_ONLY, [Access.WRITE_ONLY], [Access.READ, Access.WRITE, Access.ROTATE]),
        (ADMIN, [], list(Access)),
    ],
)
def test_each_policy_does_its_job_and_no_other(
    policy: dict[str, object], can: list[Access], cannot: list[Access]
) -> None:
    assert [access for access in Access if does(policy, access, OWN)] == [a for a in Access if a in can]
    assert not any(does(policy, access, OWN) for access in cannot)


@pytest.mark.parametrize("policy", APPLICATIONS)
@pytest.mark.parametrize("name", FOREIGN)
def test_no_other_prefix_opens(policy: dict[str, object], name: str) -> None:
    """Siblings, names that start alike, the bare name, other case: for any call and whatever stands beside it."""
    assert allowed(policy, table("Query", OWN))
    assert [how for how, request in attempts(name, OWN) if allowed(policy, request)] == []


@pytest.mark.parametrize("policy", APPLICATIONS)
def test_nothing_opens_without_keys(policy: dict[str, object]) -> None:
    """Scan, PartiQL and whatever else names no item: ForAllValues alone would hold of them."""
    assert allowed(policy, table("BatchGetItem", OWN))
    assert [how for how, request in anywhere() if allowed(policy, request)] == []


@pytest.mark.parametrize("policy", [READER, WRITER, ROTATOR])
def test_the_index_lists_the_own_namespace_only(policy: dict[str, object]) -> None:
    assert allowed(policy, index("Query", "app1"))
    for namespace in ("app10", "app", "-", "app1/db"):
        assert not allowed(policy, index("Query", namespace))
    assert not allowed(policy, index("Query", "app1", "app2"))
    assert not allowed(policy, index("Query"))
    assert not allowed(policy, index("Scan", "app1"))


@pytest.mark.parametrize("policy", [READER, WRITER, ROTATOR])
def test_a_batch_is_refused_whole_for_one_foreign_key(policy: dict[str, object]) -> None:
    assert allowed(policy, table("BatchGetItem", OWN, "app1/api/token"))
    assert not allowed(policy, table("BatchGetItem", OWN, "app1/api/token", "app2/x"))


@pytest.mark.parametrize("policy", [WRITER, ROTATOR, WRITE_ONLY])
def test_records_change_in_transactions_only(policy: dict[str, object]) -> None:
    assert allowed(policy, table("PutItem", OWN, transacted=True))
    assert not allowed(policy, table("PutItem", OWN))
    reading = replace(
        table("PutItem", OWN), context={"dynamodb:LeadingKeys": [OWN], "dynamodb:EnclosingOperation": "X"}
    )
    assert not allowed(policy, reading)
    for action in ("BatchWriteItem", "UpdateItem", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"):
        assert not allowed(policy, table(action, OWN))
        assert not allowed(policy, table(action, OWN, transacted=True))
    assert allowed(policy, table("DeleteItem", OWN, transacted=True)) is (policy is ROTATOR)
    assert not allowed(policy, table("DeleteItem", OWN))


@pytest.mark.parametrize(("policy", "action"), [(READER, "Decrypt"), (WRITER, "GenerateDataKey"), (ROTATOR, "Decrypt")])
def test_the_key_needs_the_whole_context_and_no_more(policy: dict[str, object], action: str) -> None:
    request = key(action, OWN)
    assert allowed(policy, request)
    assert not allowed(policy, without(request, ENV))
    assert not allowed(policy, without(request, NAME))
    assert not allowed(policy, Request(f"kms:{action}", KEY))
    assert not allowed(policy, with_keys(request, {"team": "payments"}))
    assert not allowed(policy, with_keys(request, {"Dynastash:Name": "app2/x"}))
    assert not allowed(policy, replace(request, context={**request.context, ENV: "prod"}))
    assert not allowed(policy, replace(request, context={**request.context, ENV: "dev2"}))


def test_further_pairs_of_the_context_are_allowed_by_name() -> None:
    policy = document(target=replace(DEV, context_keys=("team",)), write="app1/*")
    request = key("GenerateDataKey", OWN)
    assert allowed(policy, with_keys(request, {"team": "payments"}))
    assert allowed(policy, request)
    assert not allowed(policy, with_keys(request, {"Team": "payments"}))
    assert not allowed(policy, with_keys(request, {"team": "payments", "x": "y"}))


@pytest.mark.parametrize("policy", APPLICATIONS)
def test_another_environment_stays_shut(policy: dict[str, object]) -> None:
    """Its key, its table, and its context under the own key."""
    assert allowed(policy, table("Query", OWN))
    assert [how for how, request in attempts(OWN, OWN, PROD) if allowed(policy, request)] == []
    assert not allowed(policy, key("Decrypt", OWN, target=PROD, arn=KEY))
    assert not allowed(policy, key("Decrypt", OWN, arn=OTHER_KEY))
    assert not allowed(policy, key("GenerateDataKey", OWN, arn=OTHER_KEY))


@pytest.mark.parametrize("policy", APPLICATIONS)
def test_applications_never_rewrap(policy: dict[str, object]) -> None:
    for action in ("ReEncryptFrom", "ReEncryptTo", "Encrypt", "GenerateDataKeyPair"):
        assert not allowed(policy, key(action, OWN))


def test_one_secret_by_name_is_that_secret() -> None:
    policy = document(read="app1/db/password")
    assert does(policy, Access.READ, "app1/db/password")
    for name in ("app1/db/password2", "app1/db/password/x", "app1/db/passwor", "app1/db"):
        assert not allowed(policy, table("Query", name))
        assert not allowed(policy, key("Decrypt", name))
    assert not allowed(policy, index("Query", "app1"))


def test_a_bare_name_is_not_its_prefix() -> None:
    policy = document(read="app1")
    assert does(policy, Access.READ, "app1")
    assert not does(policy, Access.READ, "app1/db/password")
    assert not does(document(read="app1/*"), Access.READ, "app1")


def test_different_accesses_do_not_mix() -> None:
    policy = document(read="app1/*", write="app1/db/*", rotate="app1/db/rotated")
    assert does(policy, Access.READ, "app1/api")
    assert not allowed(policy, table("PutItem", "app1/api", transacted=True))
    assert not allowed(policy, key("GenerateDataKey", "app1/api"))
    assert does(policy, Access.WRITE, "app1/db/x")
    assert not allowed(policy, table("DeleteItem", "app1/db/x", transacted=True))
    assert does(policy, Access.ROTATE, "app1/db/rotated")


def test_all_secrets_of_an_environment_and_nothing_beside() -> None:
    """The managed policies: any name, and still no Scan of the table, no single write, no other environment."""
    policy = document(rotate="*")
    for name in ("app1/x", "app2/y", "z"):
        assert does(policy, Access.ROTATE, name)
    assert allowed(policy, index("Scan"))
    forbidden = [(how, request) for how, request in anywhere() if how != "scan the index"]
    assert [how for how, request in forbidden if allowed(policy, request)] == []
    assert not allowed(policy, table("PutItem", "app1/x"))
    assert not allowed(policy, without(key("Decrypt", "app1/x"), NAME))
    assert not any(allowed(policy, request) for _, request in attempts("app1/x", "app1/y", PROD))


# By tags


def test_by_tag_each_principal_has_its_own_prefix() -> None:
    policy = policy_document(DEV, {Access.ROTATE: [BY_TAG]})

    def asks(request: Request, **tags: str) -> bool:
        verdict = evaluate([policy], replace(request, context={**request.context, **_tags(tags)})).verdict
        assert verdict is not Verdict.UNKNOWN
        return verdict is Verdict.ALLOWED

    for request in (
        table("Query", OWN),
        table("PutItem", OWN, transacted=True),
        key("Decrypt", OWN),
        index("Query", "app1"),
    ):
        assert asks(request, prefix="app1")
        assert not asks(request, prefix="app2")
        assert not asks(request, prefix="app")
        assert not asks(request, prefix="")
        assert not asks(request)
    for name in FOREIGN:
        for _, request in attempts(name, OWN):
            assert not asks(request, prefix="app1")


def test_a_tag_of_wildcards_is_taken_literally() -> None:
    policy = policy_document(DEV, {Access.READ: [BY_TAG]})
    request = table("Query", OWN)
    for tag in ("*", "a*", "${*}", "?pp1"):
        tagged = replace(request, context={**request.context, "aws:PrincipalTag/dynastash-prefix": tag})
        assert evaluate([policy], tagged).denied


def _tags(tags: dict[str, str]) -> dict[str, str]:
    return {f"aws:PrincipalTag/dynastash-{name}": value for name, value in tags.items()}


# The administrator


@pytest.mark.parametrize(
    "action",
    ["Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair", "Encrypt"],
)
def test_an_administrator_neither_opens_nor_mints(action: str) -> None:
    assert allowed(ADMIN, Request("kms:DescribeKey", KEY))
    assert allowed(ADMIN, table("Scan"))
    assert not allowed(ADMIN, key(action, OWN))


@pytest.mark.parametrize(
    "action",
    [
        "kms:CreateGrant",
        "kms:PutKeyPolicy",
        "kms:UpdateAlias",
        "kms:CreateAlias",
        "kms:ScheduleKeyDeletion",
        "iam:PutRolePolicy",
    ],
)
def test_an_administrator_cannot_give_itself_the_values(action: str) -> None:
    assert allowed(ADMIN, Request("kms:EnableKeyRotation", KEY))
    assert not allowed(ADMIN, Request(action, KEY))


@pytest.mark.parametrize("action", ["ReEncryptFrom", "ReEncryptTo"])
def test_an_administrator_rewraps_under_the_same_key_only(action: str) -> None:
    request = key(action, OWN)
    same = {"kms:ReEncryptOnSameKey": "true"}
    assert allowed(ADMIN, replace(request, context={**request.context, **same}))
    assert allowed(
        ADMIN, replace(with_keys(request, {"team": "x"}), context={**with_keys(request, {"team": "x"}).context, **same})
    )
    assert not allowed(ADMIN, replace(request, context={**request.context, "kms:ReEncryptOnSameKey": "false"}))
    assert not allowed(ADMIN, request)
    assert not allowed(ADMIN, replace(request, context={**request.context, **same, ENV: "prod"}))
    assert not allowed(ADMIN, replace(without(request, NAME), context={**without(request, NAME).context, **same}))
    assert not allowed(ADMIN, replace(request, resource=OTHER_KEY, context={**request.context, **same}))


def test_an_administrator_replaces_wrapped_keys_and_nothing_else_of_a_record() -> None:
    update = table("UpdateItem", OWN)
    touched = ["name", "record", "wrapped_key", "key_id", "rewrapped_at", "mac"]
    assert allowed(ADMIN, replace(update, context={**update.context, "dynamodb:Attributes": touched}))
    assert not allowed(
        ADMIN, replace(update, context={**update.context, "dynamodb:Attributes": [*touched, "ciphertext"]})
    )
    assert not allowed(ADMIN, update)
    assert allowed(ADMIN, table("DeleteItem", OWN))
    for action in ("PutItem", "BatchWriteItem", "PartiQLUpdate", "DeleteTable"):
        assert not allowed(ADMIN, table(action, OWN))


def test_a_move_between_keys_opens_under_both_and_mints_under_the_new() -> None:
    target = replace(DEV, trusted_keys=(OLD_KEY,))
    policy = document(target=target, write="app1/*", administer=True)
    for arn in (KEY, OLD_KEY):
        assert allowed(policy, key("Decrypt", OWN, arn=arn))
        assert not allowed(policy, key("Decrypt", "app2/x", arn=arn))
        assert allowed(policy, key("ReEncryptFrom", OWN, arn=arn))
    assert allowed(policy, key("GenerateDataKey", OWN))
    assert not allowed(policy, key("GenerateDataKey", OWN, arn=OLD_KEY))
    assert not allowed(policy, key("ReEncryptTo", OWN, arn=OLD_KEY))


def test_a_key_by_its_alias() -> None:
    target = replace(DEV, key="alias/dynastash-dev", keys=f"arn:aws:kms:eu-west-1:{KEY.split(':')[4]}:key/*")
    policy = document(target=target, read="app1/*")
    request = key("Decrypt", OWN, target=target)
    assert allowed(policy, request)
    assert not allowed(policy, without(request, "kms:ResourceAliases"))
    assert not allowed(policy, replace(request, context={**request.context, "kms:ResourceAliases": ["alias/x"]}))


# Any two applications

_segment = st.text(st.sampled_from("ab1-_.@+=:"), max_size=3).map(lambda s: f"{s}a")
_names = st.tuples(st.sampled_from("ab1"), st.lists(_segment, min_size=1, max_size=3)).map(
    lambda t: t[0] + "/".join(t[1])
)


@st.composite
def _prefixes(draw: st.DrawFn) -> tuple[str, str]:
    """Two prefixes of which neither lies within the other, often alike."""
    one = draw(_names)
    other = draw(
        st.one_of(_names, _segment.map(lambda end: one + end), st.just(one[:-1].rstrip("/.")), st.just(f"{one}0/x"))
    )
    assume(not f"{one}/".startswith(f"{other}/") and not f"{other}/".startswith(f"{one}/"))
    return one, other


@settings(max_examples=250, deadline=None)
@given(
    pair=_prefixes(),
    tail=_names,
    access=st.sampled_from(list(Access)),
)
@example(pair=("app1", "app10"), tail="x", access=Access.ROTATE)
@example(pair=("app1", "app"), tail="x", access=Access.ROTATE)
def test_no_application_reaches_another(pair: tuple[str, str], tail: str, access: Access) -> None:
    """Two hundred and fifty pairs: each does its job on its own prefix, and no call reaches the other's."""
    one, other = pair
    mine, theirs = parse_pattern(f"{one}/*"), parse_pattern(f"{other}/*")
    policy = policy_document(DEV, {access: [mine]})
    own, foreign = f"{one}/{tail}", f"{other}/{tail}"
    assert does(policy, access, own)
    leaks = [how for how, request in attempts(foreign, own) if allowed(policy, request)]
    assert leaks == []
    assert not mine.covers(theirs)
    judge = lambda request: evaluate([policy], request)  # noqa: E731
    assert may_open(judge, DEV, foreign) is may_replace(judge, DEV, foreign) is Verdict.DENIED
    assert too_wide([policy], DEV) == []
    assert [each.names for each in opened([policy], DEV)] == [f"{one}/*"]


def test_policies_for_everything_are_told_as_such() -> None:
    (found,) = opened([policy_document(DEV, {Access.READ: [EVERYTHING]})], DEV)
    assert found.names == "*"
    assert found.opens is Verdict.ALLOWED
    assert found.replaces is Verdict.DENIED

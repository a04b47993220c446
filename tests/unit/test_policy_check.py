"""What existing policies open, and what in them is too wide: hand-written ones, as people write them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynastash.errors import InvalidArgumentError, InvalidNameError, PolicyError
from dynastash.policy.check import beyond, opened
from dynastash.policy.document import INLINE_LIMIT, MANAGED_LIMIT, Access, policy_document, size
from dynastash.policy.evaluator import Verdict, evaluate, evaluate_key, statements
from dynastash.policy.findings import too_wide
from dynastash.policy.globs import fits, intersection, within
from dynastash.policy.names import BY_TAG, Pattern, parse_pattern, reduce_patterns
from dynastash.policy.request import AMBIENT, Request
from tests import iam
from tests.policies import DEV, ENV, KEY, NAME, OLD_KEY, ROLE, TABLE, document, patterns

ALL_OF_IT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def allow(*actions: str, resource: str | list[str] = TABLE, **condition: Any) -> dict[str, Any]:
    return {"Sid": "S", "Effect": "Allow", "Action": list(actions), "Resource": resource, "Condition": condition}


def policy(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(parts)}


def reading(like: str, **more: Any) -> dict[str, Any]:
    return allow("dynamodb:Query", **{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [like]}, **more})


def opening(like: str | None, **more: Any) -> dict[str, Any]:
    names = {"StringLike": {NAME: like}} if like else {}
    return allow("kms:Decrypt", resource=KEY, **{"StringEquals": {ENV: "dev"}, **names, **more})


# What is opened


def test_the_printed_policy_opens_what_it_was_printed_for_and_is_not_too_wide() -> None:
    given = document(read="app1/*", write="app1/db/*")
    found = {each.names: each for each in opened([given], DEV)}
    assert set(found) == {"app1/*", "app1/db/*"}
    assert found["app1/*"].uses[Access.READ] is Verdict.ALLOWED
    assert found["app1/*"].replaces is Verdict.DENIED
    assert found["app1/db/*"].uses[Access.WRITE] is Verdict.ALLOWED
    assert too_wide([given], DEV) == too_wide([document(administer=True)], DEV) == []


def test_what_the_table_and_the_key_allow_together_is_what_opens() -> None:
    assert [each.names for each in opened([policy(reading("app1/*"), opening("*"))], DEV)] == ["app1/*"]
    assert [each.names for each in opened([policy(reading("*"), opening("app1/db/*"))], DEV)] == ["app1/db/*"]
    assert [each.names for each in opened([policy(reading("app*"), opening("*/db"))], DEV)] == ["app*/db"]
    assert opened([policy(reading("app1/*"))], DEV) == opened([policy(opening("app1/*"))], DEV) == []
    assert opened([policy(reading("app1/*"), opening("app2/*"))], DEV) == []


def test_two_policies_of_one_principal_count_together() -> None:
    assert [each.names for each in opened([policy(reading("app1/*")), policy(opening("app1/*"))], DEV)] == ["app1/*"]


def test_a_deny_takes_names_out() -> None:
    deny = {**opening("app1/db/*"), "Effect": "Deny"}
    (found,) = opened([policy(reading("app1/*"), opening("app1/*"), deny)], DEV)
    assert (found.names, found.without) == ("app1/*", ("app1/db/*",))


def test_an_administrator_of_the_account_opens_everything() -> None:
    (found,) = opened([ALL_OF_IT], DEV)
    assert found.names == "*"
    assert set(found.uses.values()) == {Verdict.ALLOWED}
    assert {each.what for each in too_wide([ALL_OF_IT], DEV)} >= {
        "allows *",
        "is about *",
        "reads the records of every secret",
    }


def test_an_operator_that_is_not_understood_is_never_a_no() -> None:
    doubtful = opening("app1/*", StringResembles={"kms:ViaService": "x"})
    (found,) = opened([policy(reading("app1/*"), doubtful)], DEV)
    assert found.opens is Verdict.UNKNOWN
    by_tag = policy_document(DEV, {Access.READ: [BY_TAG]})
    assert [each.opens for each in opened([by_tag], DEV)] == [Verdict.UNKNOWN]


def test_what_only_the_request_decides_is_left_open() -> None:
    (found,) = opened([policy(reading("app1/*"), opening("app1/*", IpAddress={"aws:SourceIp": "192.0.2.0/24"}))], DEV)
    assert found.opens is Verdict.UNKNOWN


def test_a_key_named_by_its_alias_may_be_any_that_a_policy_names() -> None:
    """Offline nobody knows the alias's key: "opens nothing" would be a guess."""
    target = replace(DEV, key="alias/dynastash-dev", keys=KEY.rpartition("/")[0] + "/*")
    assert [each.names for each in opened([document(read="app1/*")], target)] == ["app1/*"]
    assert too_wide([document(read="app1/*")], target) == []


def test_more_than_was_asked_for_is_a_finding() -> None:
    found = opened([document(read="app1/*", write="app2/db")], DEV)
    assert beyond(found, {Access.READ: patterns("app1/*"), Access.WRITE: patterns("app2/*")}) == []
    assert [each.what for each in beyond(found, {Access.READ: patterns("app1/*")})] == [
        "opens app2/db",
        "changes app2/db",
    ]
    assert [each.what for each in beyond(found, {Access.READ: patterns("app1/db/*", "app2/*")})] == [
        "opens app1/*",
        "changes app2/db",
    ]


# What is too wide


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (reading("app1/*"), "reads records in requests without keys"),
        (allow("dynamodb:Query"), "reads the records of every secret"),
        (
            allow("dynamodb:Query", **{"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["app1/*"]}}),
            "reads foreign records beside one of its own",
        ),
        (reading("app1*", Null={"dynamodb:LeadingKeys": "false"}), "covers names that only start like app1"),
        (opening("app1*"), "covers names that only start like app1"),
        (opening(None), f"uses the key without {NAME}"),
        (allow("kms:Decrypt", resource=KEY, StringLike={NAME: "app1/*"}), f"uses the key without {ENV}"),
        (
            allow(
                "kms:Decrypt",
                resource=KEY,
                **{"StringEquals": {ENV: "dev"}, "ForAllValues:StringLike": {NAME: "app1/*"}},
            ),
            f"accepts requests without {NAME}",
        ),
        (
            allow("kms:Decrypt", resource=KEY, StringEquals={ENV: "dev"}, StringLikeIfExists={NAME: "app1/*"}),
            f"accepts requests without {NAME}",
        ),
        (allow("dynamodb:Scan"), "allows dynamodb:Scan on the table"),
        (allow("dynamodb:PartiQLSelect"), "allows dynamodb:PartiQLSelect"),
        (allow("dynamodb:BatchWriteItem"), "allows dynamodb:BatchWriteItem"),
        (allow("dynamodb:*"), "allows dynamodb:*"),
        (allow("kms:*", resource=KEY), "allows kms:*"),
        (allow("kms:De*", resource=KEY), "allows kms:De*"),
        (allow("kms:CreateGrant", resource=KEY), "allows kms:CreateGrant"),
        (allow("kms:PutKeyPolicy", resource="*"), "allows kms:PutKeyPolicy"),
        (allow("kms:Decrypt", resource="*"), "is about *"),
        (allow("dynamodb:Query", resource=TABLE + "*"), f"is about {TABLE}*"),
        (allow("dynamodb:PutItem"), "writes outside transactions"),
        (allow("dynamodb:UpdateItem"), "changes the records of every secret"),
        (allow("kms:ReEncryptFrom", resource=KEY), "re-encrypts to and from other keys"),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "allows by NotAction"),
        ({"Effect": "Allow", "Action": "kms:Decrypt", "NotResource": OLD_KEY}, "allows by NotResource"),
    ],
)
def test_what_is_too_wide_is_named(statement: dict[str, Any], what: str) -> None:
    """Beside an ordinary permission to open values, so that it matters."""
    fine = document(read="app9/*")
    assert too_wide([fine], DEV) == []
    assert what in [each.what for each in too_wide([fine, policy(statement)], DEV)]


def test_other_tables_and_keys_are_nobodys_business_here() -> None:
    other = policy(allow("dynamodb:*", resource=TABLE + "-other"), allow("s3:*", resource="*"))
    assert too_wide([document(read="app1/*"), other], DEV) == []


# Documents and names


@pytest.mark.parametrize("text", ["app1*", "*/x", "app?/x", "a*b", "app1/**", "", "/*", "app1//*", "../*", "app1/../*"])
def test_a_pattern_ends_where_a_segment_ends(text: str) -> None:
    with pytest.raises(InvalidNameError):
        parse_pattern(text)


def test_a_pattern_that_would_cover_its_sibling_says_what_to_write() -> None:
    with pytest.raises(InvalidNameError) as caught:
        parse_pattern("app1*")
    assert caught.value.hint == "write app1/* for what is below app1, or app1 for that one secret"


def test_patterns_that_others_cover_are_left_out() -> None:
    assert reduce_patterns(patterns("app1/db/x", "app1/*", "app2", "app1/*")) == patterns("app1/*", "app2")
    assert Pattern("*").covers(Pattern("app1"))
    assert not Pattern("app1/*").covers(Pattern("app1"))


def test_nothing_asked_for_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="for nothing"):
        policy_document(DEV, {Access.READ: []})


def test_a_policy_may_outgrow_what_iam_takes() -> None:
    few = document(read=[f"app1/{number:03}" for number in range(10)])
    many = document(read=[f"app1/{number:03}" for number in range(600)])
    assert size(few) < MANAGED_LIMIT < INLINE_LIMIT < size(many)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no Statement"),
        ({"Statement": [{"Effect": "Perhaps", "Action": "*"}]}, "neither allows nor denies"),
        ({"Statement": [{"Effect": "Allow"}]}, "needs either Action or NotAction"),
        ({"Statement": [{"Effect": "Allow", "Action": "a", "NotAction": "b"}]}, "needs either Action or NotAction"),
        ({"Statement": [{"Effect": "Allow", "Action": 7}]}, "is not text"),
        ({"Statement": [{"Effect": "Allow", "Action": "a", "Condition": []}]}, "is not operators"),
        ({"Statement": ["x"]}, "neither allows nor denies"),
        ([], "no Statement"),
    ],
)
def test_what_is_no_policy_is_refused(given: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        statements(given)


# The evaluator beyond what our own policies use


@pytest.mark.parametrize(
    ("condition", "context", "verdict"),
    [
        ({"StringEqualsIgnoreCase": {"k": "A"}}, {"k": "a"}, True),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringNotLike": {"k": "a*"}}, {"k": "abc"}, False),
        ({"NumericLessThan": {"k": "10"}}, {"k": "9"}, True),
        ({"NumericLessThan": {"k": "ten"}}, {"k": "9"}, None),
        ({"DateGreaterThan": {"k": "2026-01-01T00:00:00Z"}}, {"k": "2026-06-01T00:00:00Z"}, True),
        ({"DateLessThan": {"k": "1767225600"}}, {"k": "2027-06-01T00:00:00Z"}, False),
        ({"IpAddress": {"k": "192.0.2.0/24"}}, {"k": "192.0.2.9"}, True),
        ({"NotIpAddress": {"k": ["192.0.2.0/24"]}}, {"k": "198.51.100.1"}, True),
        ({"ArnLike": {"k": "arn:aws:iam::*:role/app*"}}, {"k": "arn:aws:iam::1:role/app1"}, True),
        ({"ArnLike": {"k": "arn:aws:*:role/app1"}}, {"k": "arn:aws:iam::1:role/app1"}, False),
        ({"ArnNotLike": {"k": "arn:aws:iam::*:role/app*"}}, {"k": "arn:aws:iam::1:role/b"}, True),
        ({"Bool": {"k": True}}, {"k": "true"}, True),
        ({"Null": {"k": True}}, {}, True),
        ({"ForAnyValue:StringEquals": {"k": "a"}}, {"k": ["a", "b"]}, True),
        ({"ForAllValues:StringEquals": {"k": "a"}}, {"k": ["a", "b"]}, False),
        ({"ForAllValues:StringEquals": {"k": "a"}}, {}, True),
        ({"ForAnyValue:StringNotEquals": {"k": "a"}}, {}, False),
        ({"StringEquals": {"k": "a"}}, {"k": ["a", "b"]}, None),
        ({"StringLike": {"k": "${aws:username}/*"}}, {"k": "ada/x", "aws:username": "ada"}, True),
        ({"StringLike": {"k": "${aws:username}/*"}}, {"k": "ada/x"}, False),
        ({"StringLike": {"k": "${u, 'ada'}/*"}}, {"k": "ada/x"}, True),
        ({"StringLike": {"k": "a${*}b"}}, {"k": "a*b"}, True),
        ({"StringLike": {"k": "a${*}b"}}, {"k": "axb"}, False),
        ({"StringEquals": {"k": {"a": 1}}}, {"k": "a"}, None),
        ({"BinaryEquals": {"k": "QQ=="}}, {"k": "QQ=="}, None),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, Any], verdict: bool | None) -> None:
    given = policy({"Effect": "Allow", "Action": "s:A", "Resource": "*", "Condition": condition})
    assert evaluate([given], Request("s:A", "r", context)).verdict.truth is verdict


def test_a_doubtful_deny_leaves_a_permission_in_doubt_and_nothing_else() -> None:
    deny = {"Effect": "Deny", "Action": "s:A", "Resource": "*", "Condition": {"Odd": {"k": "a"}}}
    grant = {"Effect": "Allow", "Action": "s:A", "Resource": "*"}
    assert evaluate([policy(grant, deny)], Request("s:A")).verdict is Verdict.UNKNOWN
    assert evaluate([policy(deny)], Request("s:A")).verdict is Verdict.DENIED
    assert evaluate([policy(grant, {"Effect": "Deny", "Action": "s:*", "Resource": "*"})], Request("s:A")).explicit


def test_a_boundary_limits_and_gives_nothing() -> None:
    grant, limit = policy(allow("s:*", resource="*")), policy(allow("s:A", resource="*"))
    assert evaluate([grant], Request("s:A"), boundary=limit).allowed
    assert evaluate([grant], Request("s:B"), boundary=limit).denied
    assert evaluate([], Request("s:A"), boundary=limit).denied


def test_a_keys_policy_decides_whether_identities_have_a_say() -> None:
    root = {"AWS": f"arn:aws:iam::{ROLE.split(':')[4]}:root"}
    delegating = policy({"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"})
    naming = policy({"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:Decrypt", "Resource": "*"})
    identity = policy(allow("kms:Decrypt", resource=KEY))
    request = Request("kms:Decrypt", KEY, principal=ROLE)
    assert evaluate_key(delegating, [identity], request).allowed
    assert evaluate_key(delegating, [], request).denied
    assert evaluate_key(naming, [], request).allowed
    assert evaluate_key(policy(), [identity], request).denied
    denied = policy(
        *naming["Statement"], {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    )
    assert evaluate_key(denied, [identity], request).explicit
    elsewhere = replace(request, principal="arn:aws:iam::999988887777:role/app")
    assert evaluate_key(delegating, [identity], elsewhere).denied


def test_condition_keys_that_nobody_knows_are_not_absent() -> None:
    given = policy(
        {"Effect": "Allow", "Action": "s:A", "Resource": "*", "Condition": {"Null": {"aws:SourceVpc": "true"}}}
    )
    assert evaluate([given], Request("s:A")).allowed
    assert evaluate([given], Request("s:A", unknown=AMBIENT)).verdict is Verdict.UNKNOWN


# Globs


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("app1/*", "*", {"app1/*"}),
        ("app1/*", "app2/*", set()),
        ("a*", "*b", {"a*b"}),
        ("a?c", "ab*", {"abc"}),
        ("app1/x", "app1/x", {"app1/x"}),
    ],
)
def test_what_two_globs_have_in_common(one: str, other: str, expected: set[str]) -> None:
    assert intersection(one, other) == expected


def test_a_glob_within_another() -> None:
    assert within("app1/db/*", "app1/*")
    assert not within("app1/*", "app1/db/*")
    assert not within("app1*", "app1?")


_glob = st.text(st.sampled_from("ab*?"), max_size=5)


@settings(max_examples=300, deadline=None)
@given(one=_glob, other=_glob, name=st.text(st.sampled_from("ab"), max_size=6))
def test_the_intersection_of_globs_covers_what_both_cover(one: str, other: str, name: str) -> None:
    both = fits(one, name) and fits(other, name)
    met = intersection(one, other)
    if both or max(one.count("*"), other.count("*")) <= 3:
        assert any(fits(glob, name) for glob in met) is both


_values = st.sampled_from(["a", "ab", "b*", "*", "a?", ""])
_operators = st.sampled_from(["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "Bool"])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_two_evaluators_agree_on_any_policy(data: st.DataObject) -> None:
    """The product's, and the tests' own, which was written apart from it and knows less."""

    def condition() -> dict[str, Any]:
        operator = data.draw(_operators)
        quantifier = data.draw(st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]))
        suffix = data.draw(st.sampled_from(["", "IfExists"])) if not quantifier else ""
        found: dict[str, Any] = {
            f"{quantifier}{operator}{suffix}": {"k": data.draw(st.lists(_values, min_size=1, max_size=2))}
        }
        if data.draw(st.booleans()):
            found["Null"] = {"k": data.draw(st.sampled_from(["true", "false"]))}
        return found

    parts = [
        {
            "Effect": data.draw(st.sampled_from(["Allow", "Allow", "Deny"])),
            "Action": data.draw(st.sampled_from(["s:A", "s:*", "*", "S:a", "s:B"])),
            "Resource": data.draw(st.sampled_from(["*", "r", "r*", "q"])),
            **({"Condition": condition()} if data.draw(st.booleans()) else {}),
        }
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    value = data.draw(st.none() | st.sampled_from(["a", "ab", "b", ""]))
    context: dict[str, Any] = {} if value is None else {"k": value}
    mine = evaluate([policy(*parts)], Request("s:A", "r", context))
    oracle = iam.evaluate_identity([policy(*parts)], iam.Request(ROLE, "s:A", "r", context))
    assert mine.allowed is oracle
    assert mine.verdict is not Verdict.UNKNOWN

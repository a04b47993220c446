"""Another program answers the same requests: @cloud-copilot/iam-simulate, installed by ``make second-evaluator``.

It knows the services' actions, resource types and condition keys from AWS's own reference, and was written by others.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dynastash.policy.document import Access, policy_document
from dynastash.policy.evaluator import Document
from dynastash.policy.names import parse_pattern
from dynastash.policy.operations import requests_of
from dynastash.policy.request import Request
from tests.policies import DEV, ENV, PROD, ROLE, allowed, anywhere, attempts, document, key

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".node"
PAIRS = 200

pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and (INSTALLED / ".installed").exists()),
    reason="the second evaluator of policies is not there: make second-evaluator (takes node and npm)",
)


def ask(cases: Sequence[tuple[Document, Request]]) -> list[bool]:
    """The second evaluator's answers; an error of its own is none."""
    asked = [
        {
            "policies": [policy],
            "action": request.action,
            "resource": request.resource,
            "context": {k: v if isinstance(v, str) else list(v) for k, v in request.context.items()},
            "principal": ROLE,
        }
        for policy, request in cases
    ]
    # It takes no condition key kms:EncryptionContext:…, and so refuses the owner too. Another key with any ending
    # stands for it on both sides.
    text = json.dumps(asked).replace("kms:EncryptionContext:", "aws:RequestTag/")
    command = ["node", str(HERE / "evaluate.mjs"), str(INSTALLED)]
    process = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    answers = json.loads(process.stdout)
    assert len(answers) == len(cases)
    assert not [answer for answer in answers if answer.startswith("error")]
    return [answer == "Allowed" for answer in answers]


def agree(cases: Sequence[tuple[Document, Request]]) -> list[bool]:
    """The answers, which three evaluators gave alike."""
    answers = ask(cases)
    differing = [
        (r.action, dict(r.context), theirs)
        for (p, r), theirs in zip(cases, answers, strict=True)
        if allowed(p, r) is not theirs
    ]
    assert differing == []
    return answers


def pairs() -> list[tuple[str, str]]:
    """Pairs of prefixes of which neither lies within the other, most of them alike; the same in every run."""
    chance = random.Random(5)
    found: set[tuple[str, str]] = set()
    while len(found) < PAIRS:
        one = "/".join("".join(chance.choices("ab1-_.", k=3)) + "x" for _ in range(chance.randint(1, 2))).lstrip("-_.")
        other = chance.choice([one + chance.choice("01-_."), one[:-1], one.upper(), "z" + one, f"{one}0/a", "b/" + one])
        if not f"{one}/".startswith(f"{other}/") and not f"{other}/".startswith(f"{one}/"):
            found.add((one, other))
    return sorted(found)


def test_no_application_reaches_another_in_the_second_evaluator_either() -> None:
    """Two hundred pairs of applications: the own job first, and then all that could reach the other."""
    cases: list[tuple[Document, Request]] = []
    own = 0
    for number, (one, other) in enumerate(pairs()):
        access = list(Access)[number % len(Access)]
        policy = policy_document(DEV, {access: [parse_pattern(f"{one}/*")]})
        jobs = [(policy, request) for request in requests_of(access, DEV, f"{one}/x")]
        cases[own:own] = jobs
        own += len(jobs)
        cases += [(policy, request) for _, request in attempts(f"{other}/x", f"{one}/x")]
    answers = agree(cases)
    assert all(answers[:own])
    assert not any(answers[own:])


@pytest.mark.parametrize("wanted", [{"read": "*"}, {"rotate": "*"}, {"write_only": "app1/*"}, {"administer": True}])
def test_the_managed_policies_are_understood_alike(wanted: dict[str, Any]) -> None:
    policy = document(**wanted)
    same = {"kms:ReEncryptOnSameKey": "true"}
    rewrap = [key(action, "app1/x") for action in ("ReEncryptFrom", "ReEncryptTo")]
    requests = [
        *(request for _, request in attempts("app1/x", "app2/x")),
        *(request for _, request in attempts("app1/x", "app1/y", PROD)),
        *(request for _, request in anywhere()),
        *(Request(each.action, each.resource, {**each.context, **same}) for each in rewrap),
        *(Request(each.action, each.resource, {**each.context, **same, ENV: "prod"}) for each in rewrap),
        *(
            Request("dynamodb:UpdateItem", DEV.table, {"dynamodb:LeadingKeys": ["x"], "dynamodb:Attributes": [name]})
            for name in ("mac", "state")
        ),
    ]
    answers = agree([(policy, request) for request in requests])
    assert True in answers
    assert False in answers

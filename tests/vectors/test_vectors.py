"""The published known answers, one test for each, and the runner that others' files are run with."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit import crypto_reference as reference
from tests.vectors import PUBLISHED, cases, load_item, run_head, run_version
from tests.vectors.__main__ import main

DOCUMENT = json.loads(PUBLISHED.read_text(encoding="utf-8"))
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("case", DOCUMENT["vectors"], ids=lambda case: case["id"])
def test_version(case: dict[str, Any]) -> None:
    """A version opens to its value, or is refused."""
    assert run_version(case) is None


@pytest.mark.parametrize("case", DOCUMENT["heads"], ids=lambda case: case["id"])
def test_head(case: dict[str, Any]) -> None:
    """A head's seal holds, or the head is refused."""
    assert run_head(case) is None


def test_the_published_file_is_whole() -> None:
    """Both kinds of case, both results, no id twice."""
    every = DOCUMENT["vectors"] + DOCUMENT["heads"]
    assert (len(DOCUMENT["vectors"]), len(DOCUMENT["heads"])) == (62, 20)
    assert len({case["id"] for case in every}) == len(every)
    assert {case["result"] for case in every} == {"ok", "reject"}


def test_the_reference_implementation_agrees_with_the_published_file() -> None:
    """The tests' second implementation computes every published MAC and seal itself, so both read the format alike."""
    for case in DOCUMENT["vectors"]:
        if case["result"] == "ok":
            item = dict(load_item(case["item"]))
            key = bytes.fromhex(case["data_key"])
            assert reference.authenticated(item, env=case["env"], data_key=key) == item
    for case in DOCUMENT["heads"]:
        if case["result"] == "ok":
            item, head = dict(load_item(case["item"])), dict(load_item(case["head"]))
            key = bytes.fromhex(case["data_key"])
            assert reference.sealed(head, env=case["env"], data_key=key, salt=item["salt"]["B"]) == head


def turned(case: dict[str, Any]) -> dict[str, Any]:
    """The same case claiming the opposite result."""
    return {"value": "", **case, "result": "reject" if case["result"] == "ok" else "ok"}


@pytest.mark.parametrize("case", DOCUMENT["vectors"], ids=lambda case: case["id"])
def test_no_version_passes_with_the_opposite_result(case: dict[str, Any]) -> None:
    """The runner tells the two results apart for each case."""
    assert run_version(turned(case))


@pytest.mark.parametrize("case", DOCUMENT["heads"], ids=lambda case: case["id"])
def test_no_head_passes_with_the_opposite_result(case: dict[str, Any]) -> None:
    """The same for heads."""
    assert run_head(turned(case))


def test_a_wrong_value_fails() -> None:
    """Opening is not enough: the value has to be the stated one."""
    case = {**DOCUMENT["vectors"][0], "value": base64.b64encode(b"another").decode()}
    assert run_version(case) == "opened to another value"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m tests.vectors`` as somebody with a file of their own would call it."""
    return subprocess.run(
        [sys.executable, "-m", "tests.vectors", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_runner_on_a_passing_file() -> None:
    """Without failures: one line, exit code 0, nothing on stderr."""
    done = run(str(PUBLISHED))
    assert (done.stdout, done.stderr, done.returncode) == ("82 passed, 0 failed\n", "", 0)


def test_the_runner_on_a_doctored_file(tmp_path: Path) -> None:
    """A line for each failure, then the count, and exit code 1."""
    doctored = copy.deepcopy(DOCUMENT)
    doctored["vectors"][0]["item"]["created_by"] = {"S": "somebody else"}
    doctored["vectors"][1]["result"] = "ok"
    doctored["heads"][0]["result"] = "reject"
    path = tmp_path / "doctored.json"
    path.write_text(json.dumps(doctored), encoding="utf-8")
    done = run(str(path))
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[-1] == "79 passed, 3 failed"
    assert [line.split()[2] for line in lines[:-1]] == [
        "published-1/ok",
        "published-1/flip-ciphertext",
        "published-1/head-ok",
    ]
    assert all(line.startswith(f"FAILED {path} ") for line in lines[:-1])
    assert done.stderr == ""


def test_the_runner_without_a_file_and_with_several(capsys: pytest.CaptureFixture[str]) -> None:
    """No file means the published one; several are added up."""
    assert main([]) == 0
    assert main([str(PUBLISHED), str(PUBLISHED)]) == 0
    assert capsys.readouterr().out == "82 passed, 0 failed\n164 passed, 0 failed\n"


def test_a_file_without_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Either list may be missing."""
    path = tmp_path / "empty.json"
    path.write_text("{}", encoding="utf-8")
    assert main([str(path)]) == 0
    assert capsys.readouterr().out == "0 passed, 0 failed\n"


def as_json(item: dict[str, Any]) -> dict[str, Any]:
    """An item in a vector file's notation."""

    def attribute(value: Any) -> Any:
        ((kind, content),) = value.items()
        if kind == "B":
            return {"B": base64.b64encode(content).decode()}
        if kind == "BS":
            return {"BS": [base64.b64encode(member).decode() for member in content]}
        if kind == "M":
            return {"M": {key: attribute(member) for key, member in content.items()}}
        if kind == "L":
            return {"L": [attribute(member) for member in content]}
        return value

    return {name: attribute(value) for name, value in item.items()}


def version_case(item: dict[str, Any], /, **changes: Any) -> dict[str, Any]:
    return {
        "id": "own",
        "why": "own",
        "env": reference.ENV,
        "name": reference.NAME,
        "version": reference.VERSION,
        "data_key": reference.KEY.hex(),
        "item": as_json(item),
        "result": "reject",
        "value": base64.b64encode(reference.VALUE).decode(),
    } | changes


def head_case(head: dict[str, Any], /, **changes: Any) -> dict[str, Any]:
    return version_case(reference.version(), head=as_json(head)) | changes


NESTED: dict[str, Any] = {"S": "leaf"}
for _ in range(200):
    NESTED = {"L": [NESTED]}

REJECTED = {
    "text retyped to binary": {"created_by": {"B": "not base64!"}},
    "number retyped to binary": {"created_at": {"B": "1767225600123"}},
    "binary of a list": {"id": {"B": [1, 2]}},
    "binary of a number": {"id": {"B": 16}},
    "binary set that is none": {"x": {"BS": "YQ=="}},
    "binary set": {"x": {"BS": ["YQ=="]}},
    "binary set of no base64": {"x": {"BS": ["?", 1]}},
    "map of no attributes": {"x": {"M": {"a": "b"}}},
    "map that is none": {"context": {"M": "a"}},
    "list that is none": {"x": {"L": {"S": "a"}}},
    "number that is none": {"version": {"N": 3}},
    "nothing": {"version": None},
    "a bare text": {"comment": "x"},
    "no type": {"comment": {}},
    "two types": {"comment": {"S": "x", "N": "1"}},
    "a false null": {"x": {"NULL": False}},
    "nested 200 deep": {"x": NESTED},
    "a lone surrogate": {"x": {"S": "\ud800"}},
}


@pytest.mark.parametrize("why", REJECTED)
def test_whatever_a_hostile_file_holds_is_a_rejection(why: str, tmp_path: Path) -> None:
    """Items that are not even well-formed are refused in our own words, in records and heads, through a real file."""
    item = {**as_json(reference.version()), **REJECTED[why]}
    head = {**as_json(reference.head()), **REJECTED[why]}
    path = tmp_path / "hostile.json"
    vectors = [version_case(reference.version(), item=item), version_case(reference.version(), item=[item])]
    heads = [head_case(reference.head(), head=head), head_case(reference.head(), item=item)]
    path.write_text(json.dumps({"vectors": vectors, "heads": heads}), encoding="utf-8")
    assert [failure for _, _, failure in cases(path)] == [None] * 4


@pytest.mark.parametrize(
    "changes",
    [
        {"env": "Prod"},
        {"env": "prod\n"},
        {"env": ""},
        {"env": "p" * 32},
        {"data_key": reference.KEY[:31].hex()},
        {"data_key": reference.KEY[:16].hex()},
        {"data_key": (reference.KEY + b"x").hex()},
        {"data_key": ""},
        {"data_key": reference.OTHER_KEY.hex()},
        {"name": "a/../b"},
        {"version": 0},
        {"version": 4},
        {"version": "3"},
        {"version": None},
    ],
    ids=str,
)
def test_what_a_reader_could_not_have_asked_for_is_a_rejection(changes: dict[str, Any]) -> None:
    """A name for an environment that is none, a data key of another size, another name or number."""
    env = changes.get("env", reference.ENV)
    assert run_version(version_case(reference.version(env=env), **changes)) is None
    if "version" not in changes:
        assert run_head(head_case(reference.head(env=env), **changes)) is None


def test_own_cases_pass() -> None:
    """The same cases unspoiled are accepted: the rejections above have the reason that they state."""
    assert run_version(version_case(reference.version(), result="ok")) is None
    assert run_head(head_case(reference.head(), result="ok")) is None


def test_heads_of_other_versions_and_secrets() -> None:
    """A seal counts only under the key of the version that the head says it is sealed under."""
    for head in (
        reference.head({"current": {"N": "2"}}),
        reference.head(without=("current",)),  # pending is 7: that version's key it would have to be
        reference.head(name="tls-key"),
        reference.head(data_key=reference.OTHER_KEY),
    ):
        assert run_head(head_case(head)) is None
        assert run_head(head_case(head, result="ok"))


def test_a_destroyed_secrets_head_needs_no_seal() -> None:
    """Well-formed it is accepted; with a seal or a stage left on it, or as another secret's, it is not."""
    head = reference.head({"state": {"S": "destroyed"}}, without=("current", "pending", "previous"))
    sealed = dict(head)
    del head["seal"]
    assert run_head(head_case(head, result="ok")) is None
    for hostile in (sealed, {**head, "current": {"N": "3"}}, {**head, "name": {"S": "app1/x"}}):
        assert run_head(head_case(hostile)) is None


def test_an_error_that_is_not_ours_is_a_failure(tmp_path: Path) -> None:
    """A case that cannot be run at all counts as failed, whatever it expects."""
    path = tmp_path / "broken.json"
    path.write_text(json.dumps({"vectors": [{"id": "broken", "result": "reject"}]}), encoding="utf-8")
    assert [(identity, failure) for identity, _, failure in cases(path)] == [
        ("broken", "cannot be run: KeyError: 'data_key'")
    ]


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"null", b'{"vectors": 1}', b'{"heads": [1]}', b"[" * 100_000]
)
def test_what_is_no_file_of_vectors_is_no_traceback(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It raised whatever the JSON parser, or the first look into the document, raised."""
    path = tmp_path / "vectors.json"
    path.write_bytes(content)
    assert main([str(path)]) == 1
    assert "is not a file of vectors" in capsys.readouterr().out

"""`import` and `export` of other programs' files, and `migrate` between environments, as they are typed."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.runner import Cli
from tests.cli.terminal import Terminal

SECRET = "made-up-value-that-nobody-shows"


@pytest.fixture
def two(cli: Cli) -> Cli:
    """Two environments on this machine, ``one`` and ``two``; the first is the default."""
    (cli.cwd / "dynastash.toml").write_text(
        'default = "one"\n' + "".join(f'[env.{name}]\nstore = "sqlite"\npath = "{name}"\n' for name in ("one", "two"))
    )
    return cli


def file(cli: Cli, name: str, text: str) -> str:
    (cli.cwd / name).write_text(text)
    return name


def values(cli: Cli, *options: str) -> dict[str, str]:
    done = cli("get", "--prefix", "", "-o", "json", *options)
    return {name: each["value"] for name, each in json.loads(done.text).items()}


def test_a_file_is_taken_and_taking_it_again_changes_nothing(two: Cli) -> None:
    name = file(two, "s.json", json.dumps({"db": {"password": SECRET}, "empty": ""}))
    done = two.ok("import", name, "--prefix", "app1/")
    assert "wrote 2 versions of 2 secrets; 2 values the same on both sides, from s.json into one" in done.err
    assert values(two) == {"app1/db/password": SECRET, "app1/empty": ""}
    again = two.ok("import", name, "--prefix", "app1/")
    assert "wrote nothing; 2 values the same on both sides" in again.err
    assert SECRET not in done.text + done.err + again.text + again.err


def test_a_dry_run_changes_nothing_and_says_what_would_be(two: Cli) -> None:
    name = file(two, "s.json", json.dumps({"a": SECRET}))
    done = two.ok("import", name, "--dry-run", "-o", "json")
    found = json.loads(done.text)
    assert found["dry_run"] is True
    assert [(each["name"], each["what"], each["versions"]) for each in found["secrets"]] == [("a", "create", 1)]
    assert "nothing was changed: 1 version of 1 secret to write" in done.err
    assert values(two) == {}


def test_one_conflict_keeps_everything_from_being_written(two: Cli) -> None:
    two.ok("put", "b", given=b"old")
    name = file(two, "s.json", json.dumps({"a": SECRET, "b": "new", "c": "x"}))
    done = two("import", name)
    assert done.code == 6
    assert "error: b: version 1 here has another value\nhint: --existing skip leaves what is there" in done.err
    assert values(two) == {"b": "old"}
    assert SECRET not in done.text + done.err


def test_what_is_here_can_be_skipped_or_added_to(two: Cli) -> None:
    two.ok("put", "b", given=b"old")
    name = file(two, "s.json", json.dumps({"a": "1", "b": "new"}))
    two.ok("import", name, "--existing", "skip")
    assert values(two) == {"a": "1", "b": "old"}
    two.ok("import", name, "--existing", "add")
    assert values(two) == {"a": "1", "b": "new"}
    assert len(json.loads(two.ok("history", "b", "-o", "json").text)) == 2


@pytest.mark.parametrize(
    ("text", "options", "code", "said"),
    [
        ('{"a": 1}', [], 2, "s.json, read as json: 'a' is a number, which is no text"),
        ('{"a": "x", "": "y"}', [], 2, ": the key has nothing that a name may begin with: name it with --map"),
        ('{"a b": "x", "a_b": "y"}', [], 2, "would both be a_b"),
        ('{"a": "%s"}' % ("x" * 330_000), [], 2, "a: the value is too large"),
        ('{"a": "x"}', ["--map", "b=c"], 2, "s.json has no b, which --map names"),
        ('{"a": "x"}', ["--map", "a=no name"], 2, "is not a name for a secret"),
        ('{"a": "x"}', ["--only", "b*"], 3, "nothing in s.json matches b*"),
        ('{"a": "x"}', ["--prefix", "/"], 2, "no secret's name starts with '/'"),
        ('{"a": "x"}', ["--from-region", "eu-west-1"], 2, "how a place is reached goes with --from PLACE"),
        ('{"a": "x"}', ["--context", "a=b"], 2, "--from credstash:TABLE"),
        ('{"a": "x"}', ["--sealed", "b"], 2, "FILE, --from and --sealed exclude each other"),
        (
            '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"A": "eA=="}}',
            [],
            2,
            "a manifest",
        ),
    ],
)
def test_a_file_that_cannot_be_taken_whole_leaves_nothing(
    two: Cli, text: str, options: list[str], code: int, said: str
) -> None:
    done = two("import", file(two, "s.json", text), *options)
    assert (done.code, said in done.err) == (code, True), done.err
    assert values(two) == {}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["import"], 2, "what to import was not said"),
        (["import", "x.env"], 2, "the format of x.env was not said"),
        (["import", "nothing.json"], 1, "nothing.json cannot be read: No such file or directory"),
        (["import", "."], 2, "the format of . was not said"),
        (["import", ".", "--format", "json"], 1, ". cannot be read: Is a directory"),
        (["import", "--from", "nowhere:x"], 2, "names no place"),
        (["import", "--from", "environment:NO"], 2, "is not a name for an environment"),
        (["import", "--sealed", "x", "--prefix", "a"], 2, "a sealed backup is restored as it is"),
        (["import", "--format", "json", "--sealed", "x"], 2, "--format goes with FILE"),
        (["migrate", "--from", "environment:two", "--context", "a=b"], 2, "--from credstash:TABLE"),
        (["export", "--format", "kubernetes", "--prefix", ""], 2, "the Secret of --format kubernetes has no name yet"),
        (["export", "--format", "json", "--prefix", "", "--to", "ssm:/a"], 2, "--format and --sealed write files"),
        (["export", "--format", "json", "--prefix", "", "--to", "environment:two"], 2, "--to ./environment:two where"),
        (["export", "--format", "json", "--prefix", "", "--name", "x"], 2, "--name goes with --format kubernetes"),
        (["export", "--format", "json"], 2, "which secrets was not said"),
        (["export", "--format", "json", "--prefix", "", "--dry-run"], 2, "--dry-run"),
        (["export", "--to", "environment:two"], 2, "environments get whole secrets"),
    ],
)
def test_what_was_not_said_or_is_not_there_is_told_in_a_line(
    two: Cli, arguments: list[str], code: int, said: str
) -> None:
    done = two(*arguments)
    assert (done.code, said in done.err) == (code, True), done.err
    assert len(done.err.splitlines()) == 2


def test_a_file_that_is_no_text_or_may_not_be_read_is_told(two: Cli, unprivileged: Path) -> None:
    (unprivileged / "s.json").write_bytes(b'{"a": "\xff"}')
    assert "s.json, read as json: it is not UTF-8 text" in two("import", str(unprivileged / "s.json")).err
    (unprivileged / "s.json").chmod(0)
    done = two("import", str(unprivileged / "s.json"))
    assert (done.code, "check the owner and the modes" in done.err) == (4, True)


@pytest.mark.parametrize(
    ("line", "option"),
    [
        (("sync", "--to", "ssm:/a", "--secret", "\udcff=a"), "--secret"),
        (("sync", "--to", "ssm:/\udcff", "--prefix", ""), "--to"),
        (("sync", "--to", "ssm:/a", "--prefix", "\udcff"), "--prefix"),
        (("publish", "--to", "credstash:\udcff", "--prefix", ""), "--to"),
        (("publish", "--to", "credstash:a", "--prefix", "", "--to-region", "\udcff"), "--to-region"),
        (("migrate", "--from", "credstash:\udcff"), "--from"),
        (("import", "--from", "ssm:/a", "--only", "\udcff"), "--only"),
    ],
)
def test_bytes_that_are_no_text_were_taken_for_a_defect_of_ours(two: Cli, line: tuple[str, ...], option: str) -> None:
    done = two(*line)
    assert done.code == 2 and done.err.startswith(f"error: invalid value for '{option}': is not valid UTF-8")


def test_a_file_comes_from_standard_input(two: Cli) -> None:
    two.ok("import", "-", "--format", "dotenv", given=b"A=1\nB='two words'\n")
    assert values(two) == {"A": "1", "B": "two words"}
    empty = two.ok("import", "-", "--format", "dotenv", given=b"# nothing\n")
    assert empty.err == "there are no secrets in standard input\n"


def test_keys_are_mapped_and_others_renamed_with_a_tag(two: Cli) -> None:
    name = file(two, "s.json", json.dumps({"DB_PASSWORD": "1", "api key": "2", "x": "3"}))
    two.ok("import", name, "--map", "DB_PASSWORD=app1/db/password", "--only", "*[DB k]*")
    listed = {each["name"]: each["tags"] for each in json.loads(two.ok("list", "-o", "json").text)}
    assert listed == {"app1/db/password": {"source-name": "DB_PASSWORD"}, "api_key": {"source-name": "api key"}}


@pytest.mark.parametrize(
    "form", ["dotenv", "docker", "json", "yaml", "csv", "properties", "shell", "powershell", "tfvars"]
)
def test_what_is_exported_comes_in_again(two: Cli, form: str) -> None:
    two.ok("put", "app1/db/password", given="it's größer".encode())
    two.ok("put", "app1/token", given=b"x=#1")
    done = two.ok("export", "--format", form, "--prefix", "app1/", "--to", "out")
    assert (done.out, done.err) == (b"", f"exported 2 secrets of one ({two.cwd}/one/one.db) to out\n")
    assert stat.S_IMODE(os.stat(two.cwd / "out").st_mode) == 0o600
    assert two.ok("export", "--format", form, "--prefix", "app1/").out == (two.cwd / "out").read_bytes()
    two.ok("import", "out", "--format", form, "-e", "two")
    keys = {"tfvars": ("db_password", "token")}.get(form, ("DB_PASSWORD", "TOKEN"))
    if form in ("json", "yaml", "csv", "properties"):
        keys = ("db/password", "token")
    assert values(two, "-e", "two") == dict(zip(keys, ("it's größer", "x=#1"), strict=True))


def test_a_manifest_holds_any_bytes(two: Cli) -> None:
    two.ok("put", "app1/key", given=b"\xff\0")
    done = two.ok("export", "--format", "kubernetes", "--name", "app1", "--prefix", "app1/", "--to", "k.yaml")
    assert b"\xff" not in done.out
    two.ok("import", "k.yaml", "--format", "kubernetes", "--prefix", "x/", "-e", "two")
    assert two.ok("get", "x/KEY", "-e", "two").out == b"\xff\0"


def test_a_manifest_is_not_taken_for_a_file_of_secrets(two: Cli) -> None:
    """Its kind and the base64 of its values would become secrets."""
    two.ok("put", "kind", given=b"x")
    two.ok("put", "apiVersion", given=b"x")
    two.ok("export", "--format", "kubernetes", "--name", "a", "--secret", "KIND=kind", "--to", "a.yaml")
    done = two("import", "a.yaml", "--format", "yaml", "--prefix", "b/")
    assert done.code == 2
    assert done.err == (
        "error: a.yaml, read as yaml: this is a manifest of Kubernetes's\nhint: give --format kubernetes\n"
    )
    two.ok("export", "--format", "yaml", "--prefix", "", "--to", "b.yaml")
    two.ok("import", "b.yaml", "--format", "yaml", "--prefix", "b/")  # of these names, and no manifest
    assert {"b/kind", "b/apiVersion"} <= values(two).keys()


def test_what_a_format_cannot_hold_is_refused_with_the_secrets_name_and_nothing_is_left(two: Cli) -> None:
    two.ok("put", "app1/a", given=b"1")
    two.ok("put", "app1/b", given=f"{SECRET}\n".encode())
    done = two("export", "--format", "docker", "--prefix", "app1/", "--to", "out")
    assert done.code == 2
    assert done.err.startswith("error: an env file of docker's cannot hold app1/b: it has a line's end")
    assert SECRET not in done.err
    assert sorted(os.listdir(two.cwd)) == ["dynastash.toml", "one"]


def test_a_file_that_is_there_is_not_written_over(two: Cli) -> None:
    two.ok("put", "a", given=b"1")
    name = file(two, "out", "mine")
    done = two("export", "--format", "json", "--prefix", "", "--to", name)
    assert (done.code, done.err) == (1, "error: out cannot be written: File exists\nhint: choose another file\n")
    assert (two.cwd / "out").read_text() == "mine"


def test_values_are_not_shown_on_a_terminal(two: Cli) -> None:
    two.ok("put", "a", given=SECRET.encode())
    for to in ([], ["--to", "-"]):
        done = two("export", "--format", "json", "--prefix", "", *to, terminal=True)
        assert (done.code, done.out) == (2, b"")
        assert "values would be shown on it" in done.err


def test_names_that_differ_in_case_alone_do_not_share_a_variable_of_terraforms(two: Cli) -> None:
    two.ok("put", "a", given=b"1")
    two.ok("put", "b", given=b"2")
    done = two("export", "--format", "tfvars", "--secret", "X=a", "--secret", "x=b")
    assert (done.code, "a and b would both be x" in done.err) == (2, True)


def test_names_that_no_variable_can_have_go_into_json(two: Cli) -> None:
    for name in ("app1/path", "app1/a-b", "app1/a_b"):
        two.ok("put", name, given=b"1")
    assert two("export", "--format", "dotenv", "--prefix", "app1/").code == 2
    assert json.loads(two.ok("export", "--format", "json", "--prefix", "app1/").text) == {
        "a-b": "1", "a_b": "1", "path": "1",
    }  # fmt: skip
    assert two("export", "--format", "json", "--prefix", "app1/path").code == 2
    assert list(json.loads(two.ok("export", "--format", "json", "--prefix", "app1/p", "--keep-prefix").text)) == [
        "app1/path"
    ]


# Between environments


def test_an_environment_moves_with_its_versions_either_way(two: Cli) -> None:
    for value in ("1", "2", "3"):
        two.ok("put", "app1/a", "--comment", f"number {value}", given=value.encode())
    two.ok("put", "b", given=b"x")
    two.ok("migrate", "--from", "environment:one", "-e", "two")
    moved = json.loads(two.ok("history", "app1/a", "-e", "two", "-o", "json").text)
    assert [(each["version"], each["comment"]) for each in moved] == [(3, "number 3"), (2, "number 2"), (1, "number 1")]
    two.ok("put", "app1/a", given=b"4")
    done = two.ok("export", "--to", "environment:two", "--prefix", "app1/")
    assert "wrote 1 version of 1 secret; 4 values the same on both sides, from environment one" in done.err
    assert values(two, "-e", "two") == {"app1/a": "4", "b": "x"}


def test_what_cannot_be_moved_is_listed_and_the_rest_is_done(two: Cli) -> None:
    for name in ("a", "b", "c"):
        two.ok("put", name, given=SECRET.encode())
    two.ok("delete", "b")
    two.ok("put", "c", "-e", "two", given=b"somebody else's")
    done = two("migrate", "--from", "environment:one", "-e", "two")
    assert done.code == 8
    assert "error: 2 of 3 secrets could not be moved whole" in done.err
    assert "  b: it is deleted there\n" in done.err
    assert "  c: version 1 here has another value\n" in done.err
    assert values(two, "-e", "two") == {"a": SECRET, "c": "somebody else's"}
    dry = two("migrate", "--from", "environment:one", "-e", "two", "--dry-run")
    assert (dry.code, "nothing was changed" in dry.err) == (8, True)
    assert SECRET not in done.text + done.err + dry.text + dry.err


def test_an_import_of_an_environment_takes_current_values_all_or_none(two: Cli) -> None:
    for value in (b"1", b"2"):
        two.ok("put", "a", given=value)
    two.ok("put", "b", given=b"x")
    two.ok("import", "--from", "environment:one", "--prefix", "copy/", "-e", "two")
    assert values(two, "-e", "two") == {"copy/a": "2", "copy/b": "x"}
    two.ok("delete", "b")
    two.ok("put", "c", given=b"y")
    done = two("import", "--from", "environment:one", "--prefix", "copy/", "-e", "two")
    assert (done.code, "b: it is deleted there" in done.err) == (8, True)
    assert values(two, "-e", "two") == {"copy/a": "2", "copy/b": "x"}


def test_an_import_that_is_killed_goes_on_with_the_same_command(two: Cli) -> None:
    name = file(two, "s.json", json.dumps({f"s{number:03}": f"value {number}" for number in range(120)}))
    running = two.start("import", name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not values(two):
        assert running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = values(two)
    done = two.ok("import", name)
    assert f"wrote {120 - len(before)} versions" in done.err or len(before) == 120
    assert values(two) == {f"s{number:03}": f"value {number}" for number in range(120)}


def test_progress_is_shown_on_a_terminal_and_taken_away_again(two: Cli) -> None:
    name = file(two, "s.json", json.dumps({"a": SECRET}))
    with Terminal([sys.executable, "-m", "dynastash", "import", name], two.variables, two.cwd) as terminal:
        code, shown = terminal.finish()
    assert (code, b"writing secrets: 1" in shown) == (0, True)
    assert SECRET.encode() not in shown


def test_ctrl_c_while_a_source_is_read_says_that_nothing_was_changed(two: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> list[object]:
        raise KeyboardInterrupt

    monkeypatch.setattr("dynastash.transfer.planning.plan", interrupted)
    done = two("import", file(two, "s.json", json.dumps({"a": SECRET})))
    assert (done.code, done.err) == (130, "interrupted: nothing was changed\n")
    assert values(two) == {}


def test_ctrl_c_says_what_was_done_and_that_the_same_command_goes_on(two: Cli) -> None:
    document = {f"s{number:04}": "x" for number in range(1500)}
    name = file(two, "s.json", json.dumps(document))
    with Terminal([sys.executable, "-m", "dynastash", "import", name], two.variables, two.cwd) as terminal:
        terminal.expect(b"writing secrets: 1")
        terminal.type(b"\x03")
        code, shown = terminal.finish()
    assert (code, b"interrupted: wrote " in shown, b"the same command goes on" in shown) == (130, True, True)
    before = len(values(two))
    assert 0 < before < len(document)
    assert f"wrote {len(document) - before} versions" in two.ok("import", name).err

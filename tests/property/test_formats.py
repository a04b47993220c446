"""Files in other programs' forms: their real readers read what is written, and what a form cannot hold is refused.

Whoever reads a form in earnest is asked: sh, python-dotenv, PyYAML, json, csv, javaproperties and Java, docker's own
client, python-hcl2 and Terraform, PowerShell. Those that are no Python library are skipped, with a line, where they are
not installed.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import re
import shutil
import subprocess
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dotenv as python_dotenv
import hcl2
import javaproperties
import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dynastash.errors import DynastashError, InvalidArgumentError
from dynastash.models import Plaintext
from dynastash.transfer.formats import FORMATS, Keys, open_format
from dynastash.transfer.formats.base import Entry
from tests.property.strategies import names, steady

_NASTY = "'\"\\$`{}%#=:!,; \t\n\r\x0bab0é\u0301\u2019\u2028\ufeff\U0001f511~-_"
values = st.text(_NASTY, max_size=12) | st.text(max_size=8)
variables = st.from_regex("[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
lower = st.from_regex("[a-z_][a-z0-9_]{0,8}", fullmatch=True)
_KEYS = {Keys.VARIABLES: variables, Keys.LOWER: lower, Keys.NAMES: names}


def entries(document: Mapping[str, str | bytes]) -> list[Entry]:
    return [Entry(key, Plaintext(text.encode() if isinstance(text, str) else text)) for key, text in document.items()]


def written(form: str, document: Mapping[str, str | bytes]) -> bytes:
    return open_format(form).write(entries(document), name="app1")


def read(form: str, data: bytes) -> dict[str, bytes]:
    return {each.key: each.value.expose() for each in open_format(form).read(data)}


def _dotenv(text: str) -> bool:
    literal = "'" not in text and "\r" not in text and not re.search(r"\\['\\]|\\\Z", text)
    return "\0" not in text and "${" not in text and (literal or not set("$`") & set(text))


_FITS: Mapping[str, Callable[[str], bool]] = {
    "dotenv": _dotenv,
    "docker": lambda text: "\0" not in text and "\n" not in text and not text.endswith("\r"),
    "json": lambda text: True,
    "yaml": lambda text: True,
    "csv": lambda text: "\0" not in text,
    "properties": lambda text: True,
    "shell": lambda text: "\0" not in text,
    "powershell": lambda text: "\0" not in text and text != "",
    "kubernetes": lambda text: True,
    "tfvars": lambda text: (
        "\0" not in text and unicodedata.normalize("NFC", text) == text and "$${" not in text and "%%{" not in text
    ),
}


@pytest.mark.parametrize("form", FORMATS)
@steady(120)
@given(data=st.data())
def test_a_form_holds_a_value_exactly_or_refuses_it(form: str, data: st.DataObject) -> None:
    document = data.draw(st.dictionaries(_KEYS[FORMATS[form].keys], values, max_size=3))
    fits = all(map(_FITS[form], document.values()))
    try:
        file = written(form, document)
    except InvalidArgumentError as error:
        assert not fits
        assert any(key in str(error) for key in document)
        return
    assert fits
    assert read(form, file) == {key: text.encode() for key, text in document.items()}
    assert written(form, {key: text.decode() for key, text in read(form, file).items()}) == file


@pytest.mark.parametrize("form", FORMATS)
@steady(60)
@given(data=st.data())
def test_hostile_text_is_read_or_refused_without_being_quoted(form: str, data: st.DataObject) -> None:
    mark = "made-up-value"
    text = data.draw(st.text(_NASTY + "<>[]|&*?\0", max_size=30))
    try:
        read(form, f"A='{mark}'{text}\n{text}{mark}\n".encode())
    except DynastashError as error:
        assert mark not in f"{error}{error.hint}{error.__cause__}{error.__context__}"


# Real readers


@steady(60)
@given(st.dictionaries(variables.map(lambda key: f"X_{key}"), values.filter(_FITS["shell"]), max_size=3))
def test_sh_reads_what_is_written_for_it(document: dict[str, str]) -> None:
    script = written("shell", document)
    done = subprocess.run(["sh", "-c", 'eval "$1"; env -0', "sh", script], capture_output=True, env={}, check=True)
    found = dict(item.split(b"=", 1) for item in done.stdout.split(b"\0") if item.startswith(b"X_"))
    assert found == {key.encode(): text.encode() for key, text in document.items()}


@steady(200)
@given(st.dictionaries(variables, values.filter(_dotenv), max_size=3))
@example({"A": "x$HOME", "B": "a\\nb", "C": "it's\ttwo\nlines\r", "D": "#x", "E": " x ", "F": ""})
def test_python_dotenv_reads_what_is_written_for_it(document: dict[str, str]) -> None:
    file = written("dotenv", document).decode()
    assert dict(python_dotenv.dotenv_values(stream=io.StringIO(file, newline=""))) == document


@steady(120)
@given(st.dictionaries(st.text(min_size=1, max_size=5), values, max_size=3))
@example({"yes": "no", "1": "012", "a": "1:20", "b": "~", "c": "\x85\u2028\0"})
def test_pyyaml_reads_what_is_written_for_it(document: dict[str, str]) -> None:
    assert yaml.safe_load(written("yaml", document)) == document


@steady(60)
@given(st.dictionaries(st.text(max_size=5), values, max_size=3))
def test_json_reads_what_is_written_for_it(document: dict[str, str]) -> None:
    assert json.loads(written("json", document)) == document


@steady(120)
@given(
    st.dictionaries(values.filter(lambda key: key != "" and "\0" not in key), values.filter(_FITS["csv"]), max_size=3)
)
def test_csv_reads_what_is_written_for_it(document: dict[str, str]) -> None:
    file = io.StringIO(written("csv", document).decode(), newline="")
    assert [tuple(row) for row in csv.reader(file, strict=True)] == [("name", "value"), *document.items()]


@steady(120)
@given(st.dictionaries(values, values.filter(_FITS["csv"]), max_size=3))
def test_what_csv_writes_is_read(document: dict[str, str]) -> None:
    assume(all(document) and not any("\0" in key for key in document))
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("name", "value"), *document.items()])
    assert read("csv", file.getvalue().encode()) == {key: text.encode() for key, text in document.items()}


@steady(120)
@given(st.dictionaries(values.filter(bool), values, max_size=3))
def test_javaproperties_reads_what_is_written_for_it(document: dict[str, str]) -> None:
    assert javaproperties.loads(written("properties", document)) == document


@steady(120)
@given(st.dictionaries(values.filter(bool), values, max_size=3))
def test_what_javaproperties_writes_is_read(document: dict[str, str]) -> None:
    file = javaproperties.dumps(document, timestamp=False).encode("ascii")
    assert read("properties", file) == {key: text.encode() for key, text in document.items()}


@steady(30)
@given(
    st.dictionaries(
        lower.filter(lambda key: key not in ("true", "false", "null", "for", "in", "if")), values, max_size=3
    )
)
def test_python_hcl2_reads_what_is_written_for_it(document: dict[str, str]) -> None:
    assume(all(map(_FITS["tfvars"], document.values())))
    found = hcl2.load(io.StringIO(written("tfvars", document).decode()))
    # It gives the text as it stands, between quotes; its escapes are JSON's, but for the longest.
    plain = {
        key: json.loads(re.sub(r"\\U([0-9a-f]{8})", lambda each: json.dumps(chr(int(each[1], 16)))[1:-1], text))
        .replace("$${", "${")
        .replace("%%{", "%{")
        for key, text in found.items()
        if not key.startswith("__")
    }
    assert plain == document


@steady(60)
@given(st.dictionaries(variables, st.binary(max_size=12), max_size=3))
def test_a_manifest_is_read_by_any_reader_of_yaml(document: dict[str, bytes]) -> None:
    found = yaml.safe_load(written("kubernetes", document))
    assert (found["kind"], found["metadata"], found["type"]) == ("Secret", {"name": "app1"}, "Opaque")
    assert {key: base64.b64decode(text) for key, text in found["data"].items()} == document


# Readers that are programs: one run for many values


def many(fits: Callable[[str], bool], prefix: str = "X_") -> dict[str, str]:
    """A few hundred values that are hard to quote, the same in each run."""
    drawn = random.Random(6)
    texts = ["".join(drawn.choices(_NASTY, k=drawn.randrange(1, 10))) for _ in range(400)]
    return {f"{prefix}{at}": text for at, text in enumerate(filter(fits, texts))}


def needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def test_java_reads_what_is_written_for_it(tmp_path: Path) -> None:
    java = needed("java")
    document = many(lambda text: True)
    (tmp_path / "x.properties").write_bytes(written("properties", document))
    (tmp_path / "Read.java").write_text(
        "import java.io.*; import java.util.*; import java.nio.charset.StandardCharsets;\n"
        "class Read { public static void main(String[] given) throws Exception {\n"
        "  Properties read = new Properties(); read.load(new FileInputStream(given[0]));\n"
        "  for (String key : read.stringPropertyNames()) System.out.println(key + ' '\n"
        "    + Base64.getEncoder().encodeToString(read.getProperty(key).getBytes(StandardCharsets.UTF_8))); } }\n"
    )
    done = subprocess.run(
        [java, str(tmp_path / "Read.java"), str(tmp_path / "x.properties")], capture_output=True, text=True
    )
    if "ompiler" in done.stderr:
        pytest.skip("java has no compiler with it")
    found = dict(line.split(" ") for line in done.stdout.splitlines())
    assert {key: base64.b64decode(text).decode() for key, text in found.items()} == document


def test_terraform_reads_what_is_written_for_it(tmp_path: Path) -> None:
    terraform = needed("terraform")
    document = many(_FITS["tfvars"], "x_")
    (tmp_path / "x.tfvars").write_bytes(written("tfvars", document))
    (tmp_path / "main.tf").write_text("".join(f'variable "{key}" {{}}\n' for key in document))
    everything = f"jsonencode({{{', '.join(f'{key} = base64encode(var.{key})' for key in document)}}})\n"
    done = subprocess.run(
        [terraform, "console", "-var-file=x.tfvars"], input=everything, capture_output=True, text=True, cwd=tmp_path,
        env={"HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(json.loads(done.stdout))
    assert {key: base64.b64decode(text).decode() for key, text in found.items()} == document


@pytest.fixture
def docker_host() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """A daemon that takes note of the containers it is asked for, and makes none."""
    asked: list[dict[str, object]] = []

    class Daemon(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            self._answer(200, b"OK")

        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(500, b'{"message": "seen"}')

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Api-Version", "1.43")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *given: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Daemon)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_docker_reads_what_is_written_for_it(tmp_path: Path, docker_host: tuple[str, list[dict[str, object]]]) -> None:
    docker = needed("docker")
    url, asked = docker_host
    document = many(_FITS["docker"])
    (tmp_path / "x.env").write_bytes(written("docker", document))
    subprocess.run(
        [docker, "create", "--env-file", str(tmp_path / "x.env"), "image"],
        capture_output=True,
        env={"DOCKER_HOST": url, "HOME": str(tmp_path)},
    )
    assert asked[0]["Env"] == [f"{key}={text}" for key, text in document.items()]


def test_powershell_reads_what_is_written_for_it(tmp_path: Path) -> None:
    pwsh = needed("pwsh")
    document = many(_FITS["powershell"])
    (tmp_path / "x.ps1").write_bytes(written("powershell", document))
    show = f". {tmp_path / 'x.ps1'}; " + "Get-ChildItem env:X_* | Select-Object Name, Value | ConvertTo-Json"
    done = subprocess.run([pwsh, "-NoProfile", "-Command", show], capture_output=True, check=True)
    assert {each["Name"]: each["Value"] for each in json.loads(done.stdout)} == document

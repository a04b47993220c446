"""The AWS CLI's files: read as botocore reads them, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from botocore.configloader import load_config, raw_config_parse
from botocore.exceptions import ConfigParseError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.profilefile import parse, profiles, read

_WORDS = st.sampled_from(
    [
        "region",
        "Region",
        "aws_access_key_id",
        "s3",
        "a",
        "a b",
        "x=y",
        "#c",
        ";c",
        "eu-west-1",
        "é",
        "100%",
        "%(a)s",
        "",
    ]
)
_GAPS = st.sampled_from(["", " ", "  ", "\t", "\x0c", "\x0b", "\x1c", "\r", "\xa0"])
_LINES = st.one_of(
    st.sampled_from(
        [
            "[default]",
            "[profile a]",
            "[profile  a]",
            '[profile "a b"]',
            "[profile default]",
            "[profilex a]",
            "[DEFAULT]",
            "[services a]",
            "[a]",
            " [a]",
            "[a] ; comment",
            "[a]]",
            "[]",
            "[ a ]",
            "rem a",
            "= a",
            ": a",
            "a",
            "",
            "   ",
            "\ufeff[default]",
        ]
    ),
    st.builds(
        lambda indent, key, left, sign, right, value, end: f"{indent}{key}{left}{sign}{right}{value}{end}",
        _GAPS,
        _WORDS,
        _GAPS,
        st.sampled_from("=:"),
        _GAPS,
        _WORDS,
        _GAPS,
    ),
)
_FILES = st.builds("".join, st.lists(st.tuples(_LINES, st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])).map("".join)))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_FILES)
@example("[default]\ns3 =\n  a = b\n\n  region = c\n")
@example("[default]\ns3 =\n  a = b\n# comment\n  region = c\n")
@example("[default]\nregion = a\n  b\n")
@example("[default]\nregion : a = b\nx = y : z\n")
@example("[default]\nregion =\n\nx = 1\n")
@example("[default]\nregion =\n  no equals sign\n")
def test_a_file_is_read_as_botocore_reads_it_or_left_to_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_bytes(text.encode())
    try:
        ours = parse(file.read_bytes())
    except HandOver:
        return
    assert ours == raw_config_parse(str(file))
    try:
        found = profiles(ours)
    except HandOver:
        return
    assert found == load_config(str(file))["profiles"]


def test_what_people_write_is_read() -> None:
    text = b"""\
# written by aws configure
[default]
region = eu-west-1
output=json
cli_pager =
s3 =
  max_concurrent_requests = 20
  addressing_style = path

[profile prod]\r
Region: us-east-1\r
endpoint_url = http://localhost:4566/?a=b
; the end
[sso-session x]
sso_region = eu-west-1
"""
    assert profiles(parse(text)) == {
        "default": {
            "region": "eu-west-1",
            "output": "json",
            "cli_pager": "",
            "s3": {"max_concurrent_requests": "20", "addressing_style": "path"},
        },
        "prod": {"region": "us-east-1", "endpoint_url": "http://localhost:4566/?a=b"},
    }


@pytest.mark.parametrize(
    "text",
    [
        "[a]\nx = 1\nx = 2\n",
        "[a]\n[a]\n",
        "x = 1\n",
        "[a]\nx\n",
        "[a]\nx =\n  y\n",
    ],
    ids=["an option twice", "a section twice", "no section", "no value", "a block without values"],
)
def test_what_botocore_complains_of_is_left_to_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(ConfigParseError):
        raw_config_parse(str(file))
    with pytest.raises(HandOver):
        parse(text.encode())


def test_no_file_is_no_sections_and_neither_is_a_directory_nor_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "missing/below", "pipe", "."):
        assert read(f"~/{name}", {"HOME": str(tmp_path)}) == {}
    assert read(os.devnull, {}) == {}
    assert read("", {}) == {}


def test_a_file_that_may_not_be_read_is_left_to_botocore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:  # the tests may run as root, who may read everything
        raise PermissionError

    (tmp_path / "config").write_text("[default]\nregion = a")
    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(HandOver, match="cannot be read"):
        read("~/config", {"HOME": str(tmp_path)})


def test_a_file_beyond_all_measure_is_left_to_botocore(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("#" * (1 << 20))
    assert read(str(file), {}) == {}
    file.write_text("#" * ((1 << 20) + 1))
    with pytest.raises(HandOver, match="is large"):
        read(str(file), {})


@pytest.mark.parametrize("path", ["$HOME/config", "~root/config", "~"])
def test_a_path_that_has_to_be_worked_out_is_left_to_botocore(path: str) -> None:
    with pytest.raises(HandOver, match="uncommon path"):
        read(path, {})


def test_the_home_directory_of_a_user_without_the_variable_is_the_systems(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pwd.getpwuid", lambda _: type("Entry", (), {"pw_dir": f"{tmp_path}/"}))
        (tmp_path / "config").write_text("[a]\n")
        assert read("~/config", {}) == {"a": {}}

"""Who runs in each comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.installs import Installed
from bench.measure import Contestant
from bench.seeds import ENVIRONMENT, name_of, value_of
from bench.server.others import VALUE

CLIENTS: Final = Path(__file__).parent / "clients"
IN_FLIGHT: Final = 64
"""Calls at once, where a comparison fixes their number."""

DATABASE_MS: Final = 4
KMS_MS: Final = 12
_IMPORTS: Final = ",".join(
    (
        "ssl",
        "json",
        "cryptography.hazmat.primitives.ciphers.aead",
        "cryptography.hazmat.primitives.kdf.hkdf",
        "cryptography.hazmat.primitives.hmac",
    )
)
_NAME: Final = name_of(7)
_VALUE: Final = value_of(7, 1).encode()


@dataclass(frozen=True, slots=True)
class Group:
    """Contestants that run in turns, so that any two of them can be compared. ``variables`` hold for all of them."""

    name: str
    contestants: Sequence[Contestant]
    rounds: int
    tls: bool = False
    variables: Mapping[str, str] | None = None


class Field:
    """Makes contestants from what is installed."""

    def __init__(self, installed: Installed) -> None:
        self._installed = installed

    def dynastash(self, name: str, *arguments: str, table: str = "", **more: object) -> Contestant:
        """Its command line, on ``table``, or on the embedded store without one."""
        variables = {"DYNASTASH_ENV": ENVIRONMENT, "DYNASTASH_TABLE": table} if table else {}
        return self._contestant(name, [str(self._installed.dynastash / "bin/dynastash"), *arguments], variables, more)

    def credstash(self, name: str, *arguments: str, table: str, **more: object) -> Contestant:
        """Its command line."""
        command = [str(self._installed.credstash / "bin/credstash"), "-t", f"cs-{table}", *arguments]
        return self._contestant(name, command, {}, more)

    def boto3(self, *arguments: str, **more: object) -> Contestant:
        """The script by hand, in credstash's environment: the same boto3."""
        command = [str(self._installed.credstash / "bin/python"), str(CLIENTS / "boto3_get.py"), *arguments]
        return self._contestant("boto3 by hand", command, {}, more)

    def aws(self, name: str, *arguments: str, **more: object) -> Contestant:
        """The AWS CLI."""
        return self._contestant(name, [str(self._installed.awscli / "bin/aws"), *arguments], {}, more)

    def node(self, name: str, script: str, *arguments: str, **more: object) -> list[Contestant]:
        """A Node client, if there is Node."""
        if self._installed.node is None:
            return []
        variables = {"BENCH_MODULES": str(self._installed.modules)}
        return [self._contestant(name, [self._installed.node, str(CLIENTS / script), *arguments], variables, more)]

    def gcredstash(self, *arguments: str, table: str, **more: object) -> list[Contestant]:
        """The Go program, if there is one."""
        if self._installed.gcredstash is None:
            return []
        variables = {"GCREDSTASH_TABLE": f"cs-{table}"}
        return [self._contestant("gcredstash", [self._installed.gcredstash, *arguments], variables, more)]

    def python(self, name: str, script: str, *arguments: str, **more: object) -> Contestant:
        """A script in dynastash's own environment."""
        command = [str(self._installed.dynastash / "bin/python"), str(CLIENTS / script), *arguments]
        return self._contestant(name, command, {}, more)

    def interpreter(self) -> Contestant:
        """Python that does nothing."""
        return Contestant("bare interpreter", [str(self._installed.dynastash / "bin/python"), "-c", "pass"])

    @staticmethod
    def _contestant(
        name: str, command: Sequence[str], variables: Mapping[str, str], more: Mapping[str, object]
    ) -> Contestant:
        own = more.pop("variables", {}) if isinstance(more, dict) else {}
        assert isinstance(own, Mapping)
        return replace(Contestant(name, command, {**variables, **own}), **more)  # type: ignore[arg-type]


def floor_of(secrets: int, rounds: int) -> str:
    """The waits of ``rounds`` dependent answers of DynamoDB, and of ``secrets`` Decrypts, 64 of them at once."""
    decrypts = math.ceil(secrets / IN_FLIGHT)
    return ",".join([str(DATABASE_MS)] * rounds + [str(KMS_MS)] * decrypts)


def groups(field: Field, *, quick: bool, home: Path) -> list[Group]:
    """The comparisons, the cheap ones first."""
    few, some, seldom = (3, 2, 2) if quick else (11, 7, 3)
    made = [
        Group("get", _get(field), few),
        Group("get, TLS", _get_tls(field), few, tls=True),
        Group("get, botocore's credentials", _get_chain(field), few, variables=chain(home)),
        Group("put", _put(field), few),
        Group("help", _help(field), few),
        Group("run", _run(field), few),
        Group("library", _library(field), some),
        Group("embedded", _embedded(field, home), few),
        Group("all 200", _all(field, 200, quick=quick), some),
    ]
    if not quick:
        made.append(Group("all 1000", _all(field, 1000, quick=quick), seldom))
    made.append(Group("list 1000 × 10", _list(field), seldom))
    return made


def tables(*, quick: bool) -> list[str]:
    """Which tables to seed: name, secrets, versions."""
    return ["t25:25:1", "t200:200:1", "t1000x10:1000:10", *([] if quick else ["t1000:1000:1"])]


def chain(home: Path) -> dict[str, str]:
    """A profile whose credentials come from a program: botocore's own chain has to be asked."""
    script = home / "credentials.sh"
    script.write_text(
        "#!/bin/sh\n"
        """echo '{"Version": 1, "AccessKeyId": "AKIABENCHBENCHBENCH0", "SecretAccessKey": "made-up"}'\n"""
    )
    script.chmod(0o700)
    config = home / "config"
    config.write_text(f"[profile chain]\ncredential_process = {script}\n")
    return {
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": "chain",
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
    }


def _get(field: Field) -> list[Contestant]:
    table = "t200"
    return [
        field.credstash("credstash", "get", _NAME, table=table, expect=_VALUE),
        field.dynastash("dynastash", "get", _NAME, table=table, expect=_VALUE),
        *field.node("nodecredstash", "nodecredstash.js", f"cs-{table}", _NAME, expect=_VALUE),
        *field.node("npm credstash", "credstash.js", f"cs-{table}", _NAME, expect=_VALUE),
        *field.gcredstash("get", _NAME, table=table, expect=_VALUE),
        field.boto3(f"cs-{table}", _NAME, expect=_VALUE),
        field.aws(
            "aws ssm", "ssm", "get-parameter", "--name", "/bench", "--with-decryption",
            "--query", "Parameter.Value", "--output", "text", expect=VALUE.encode(),
        ),
        field.aws(
            "aws secretsmanager", "secretsmanager", "get-secret-value", "--secret-id", "bench",
            "--query", "SecretString", "--output", "text", expect=VALUE.encode(),
        ),
        field.python("floor", "floor.py", _IMPORTS, floor_of(1, 1)),
        field.interpreter(),
    ]  # fmt: skip


def _get_tls(field: Field) -> list[Contestant]:
    table = "t200"
    return [
        field.credstash("credstash", "get", _NAME, table=table, expect=_VALUE),
        field.dynastash("dynastash", "get", _NAME, table=table, expect=_VALUE),
        *field.node("nodecredstash", "nodecredstash.js", f"cs-{table}", _NAME, expect=_VALUE),
        *field.node("npm credstash", "credstash.js", f"cs-{table}", _NAME, expect=_VALUE),
        field.python("floor", "floor.py", _IMPORTS, floor_of(1, 1)),
    ]


def _get_chain(field: Field) -> list[Contestant]:
    return [
        field.credstash("credstash", "get", _NAME, table="t200", expect=_VALUE),
        field.dynastash("dynastash", "get", _NAME, table="t200", expect=_VALUE),
    ]


def _put(field: Field) -> list[Contestant]:
    return [
        field.credstash("credstash", "put", "-a", "app0/bench", "made-up", table="t25", expect=b"stored"),
        field.dynastash("dynastash", "put", "app0/bench", table="t25", given=b"made-up"),
    ]


def _help(field: Field) -> list[Contestant]:
    line = {"_DYNASTASH_COMPLETE": "bash", "COMP_LINE": "dynastash get app1/"}
    return [
        field.credstash("credstash", "--help", table="t25", expect=b"usage"),
        field.dynastash("dynastash --help", "--help", expect=b"Usage"),
        field.dynastash("completion of a name", table="t25", variables=line, expect=b"app1/"),
        field.interpreter(),
    ]


def _library(field: Field) -> list[Contestant]:
    variables = {"DYNASTASH_ENV": ENVIRONMENT, "DYNASTASH_TABLE": "t200"}
    return [
        field.python("boto3 clients", "library.py", "boto3", "cpu", _NAME, variables=variables),
        field.python("dynastash", "library.py", "dynastash", "cpu", _NAME, variables=variables),
        field.python("cached", "library.py", "cached", "cpu", _NAME, variables=variables),
    ]


def _embedded(field: Field, home: Path) -> list[Contestant]:
    own = {"XDG_DATA_HOME": str(home / "embedded")}
    return [
        field.dynastash("dynastash put", "put", "app1/embedded", given=b"made-up", variables=own),
        field.python("floor of put", "sqlite_floor.py", str(home / "floor.db"), "write"),
        field.dynastash("dynastash get", "get", "app1/embedded", variables=own, expect=b"made-up"),
        field.python("floor of get", "sqlite_floor.py", str(home / "floor.db"), "read"),
    ]


def _run(field: Field) -> list[Contestant]:
    """A container's start: a program with 25 secrets in its environment. What it prints shows that it has one."""
    table = "t25"
    getall = field.credstash("credstash getall", "getall", table=table)
    shell = f"SECRETS=$({' '.join(getall.command)}) && export SECRETS && exec env"
    return [
        Contestant("credstash getall", ["/bin/sh", "-c", shell], expect=_VALUE),
        field.dynastash("dynastash run", "run", "--prefix", "", "--", "env", table=table, expect=_VALUE),
    ]


def _all(field: Field, count: int, *, quick: bool) -> list[Contestant]:
    table = f"t{count}"
    expect = value_of(count - 1, 1).encode()
    everything = ("get", "--prefix", "", "-o", "json")
    patient = count <= 200 and not quick  # these ask for one after another, half a minute for 1,000
    return [
        field.credstash("credstash", "getall", table=table, expect=expect),
        field.dynastash("dynastash", *everything, table=table, expect=expect),
        field.dynastash(
            "dynastash, 64 in flight", *everything, table=table, expect=expect,
            variables={"DYNASTASH_CONCURRENCY": str(IN_FLIGHT)},
        ),
        *(field.node("nodecredstash", "nodecredstash.js", f"cs-{table}", expect=expect) if patient else []),
        *(field.gcredstash("getall", table=table, expect=expect) if patient else []),
        field.boto3(f"cs-{table}", expect=expect),
        field.python("floor", "floor.py", _IMPORTS, floor_of(count, 2)),
    ]  # fmt: skip


def _list(field: Field) -> list[Contestant]:
    table, expect = "t1000x10", name_of(999).encode()
    return [
        field.credstash("credstash", "list", table=table, expect=expect),
        field.dynastash("dynastash", "list", table=table, expect=expect),
        field.dynastash("dynastash -o json", "list", "-o", "json", table=table, expect=expect),
    ]

"""Emulators of AWS as real processes on free loopback ports."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

_ATTEMPTS = 3  # somebody else may take the port between our finding it free and the server's binding it


@contextlib.contextmanager
def ministack(directory: Path, **variables: str) -> Iterator[str]:
    """ministack's endpoint URL: DynamoDB with real isolation, KMS with key states, STS, CloudFormation.

    ``variables`` are its further settings: ``AUTH="true"`` lets it enforce IAM policies.
    """
    with _server(
        directory,
        lambda port: [sys.executable, "-m", "ministack"],
        lambda port: {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "LOG_LEVEL": "WARNING", **variables},
    ) as url:
        yield url


@contextlib.contextmanager
def moto(directory: Path) -> Iterator[str]:
    """moto's endpoint URL: a second opinion, and KMS that notices tampering. Never for anything concurrent."""
    with _server(
        directory, lambda port: [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    ) as url:
        yield url


@contextlib.contextmanager
def dynamodb_local(directory: Path, jar: Path) -> Iterator[str]:
    """The endpoint URL of Amazon's DynamoDB Local, whose unpacked distribution is ``jar``."""
    java = shutil.which("java") or "java"
    with _server(
        directory,
        lambda port: [
            java,
            "-Xmx256m",
            "-XX:TieredStopAtLevel=1",
            f"-Djava.library.path={jar / 'DynamoDBLocal_lib'}",
            "-jar",
            str(jar / "DynamoDBLocal.jar"),
            "-inMemory",
            "-port",
            str(port),
        ],
    ) as url:
        yield url


@contextlib.contextmanager
def _server(
    directory: Path,
    command: Callable[[int], Sequence[str]],
    variables: Callable[[int], Mapping[str, str]] = lambda port: {},
) -> Iterator[str]:
    log = directory / "server.log"
    for _ in range(_ATTEMPTS):
        port = free_port()
        # Nothing of the caller's environment but what running a program takes; files go to the test's directory.
        environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "TMPDIR": str(directory), **variables(port)}
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(port), env=environment, cwd=directory, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            if _answers(process, port):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            process.terminate()
            process.wait()
    raise RuntimeError(f"{command(0)[0]} did not start:\n{log.read_text(errors='replace')}")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until somebody listens on ``port``; False where the process ended instead."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""The server as a child process, and how to talk to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_ROOT = Path(__file__).resolve().parents[2]


class Running:
    """A server that runs. ``authority`` is the file with the certificate that clients must trust."""

    def __init__(self, where: Mapping[str, str]) -> None:
        self.where = where
        self.authority = where["authority"]

    def variables(self, *, tls: bool = False) -> dict[str, str]:
        """The environment that leads any AWS client here. DynamoDB has an address of its own, as at AWS."""
        scheme = "https" if tls else "http"
        found = {
            "AWS_ENDPOINT_URL_DYNAMODB": self.where[f"dynamodb {scheme}"],
            "AWS_ENDPOINT_URL": self.where[f"others {scheme}"],
        }
        trust = {"AWS_CA_BUNDLE": self.authority, "NODE_EXTRA_CA_CERTS": self.authority}
        return {**found, **trust} if tls else found

    def control(self, path: str, document: object = None) -> dict[str, Any]:
        """One request of the bench's own; the server's books."""
        connection = http.client.HTTPConnection(urlsplit(self.where["others http"]).netloc)
        with contextlib.closing(connection):
            connection.request("POST", f"/bench/{path}", json.dumps(document))
            books: dict[str, Any] = json.loads(connection.getresponse().read())
            return books

    def call(self, target: str, document: object) -> dict[str, Any]:
        """One unsigned request in the JSON protocol."""
        address = self.where["dynamodb http" if target.startswith("DynamoDB") else "others http"]
        connection = http.client.HTTPConnection(urlsplit(address).netloc)
        with contextlib.closing(connection):
            connection.request("POST", "/", json.dumps(document), {"X-Amz-Target": target})
            reply: dict[str, Any] = json.loads(connection.getresponse().read())
            return reply


@contextlib.contextmanager
def running(directory: Path, arguments: Sequence[str] = ()) -> Iterator[Running]:
    """Start a server, and stop it in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.server", "--directory", str(directory), *arguments],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the latency server did not start")
        yield Running(json.loads(line))
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()

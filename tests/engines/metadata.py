"""The metadata services beside a machine: EC2's, ECS's and EKS Pod Identity's, as one small real server."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROLE = "role-of-the-instance"
_ROLES = "/latest/meta-data/iam/security-credentials/"


def expiring(seconds: float) -> str:
    """A time from now on, as these services write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


@dataclass
class Metadata:
    """What the services answer, and the requests that they got.

    ``instance`` and ``container`` are the documents with credentials. ``hops`` below 1 loses the answers to PUT on
    their way, as for a container behind another hop. ``authorization`` is what the container's endpoint wants to see.
    ``status`` answers requests by ``METHOD path`` with another status, ``once`` only the first, ``raw`` with these very
    bytes. ``version_1`` lets requests without a token pass; ``stalls`` keeps connections open behind those bytes.
    """

    url: str = ""
    instance: dict[str, Any] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)
    authorization: str | None = None
    hops: int = 1
    role: str = ROLE
    status: dict[str, int] = field(default_factory=dict)
    once: dict[str, int] = field(default_factory=dict)
    version_1: bool = False
    stalls: bool = False
    raw: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    given: int = 0

    def document(self, kind: str, **parts: Any) -> dict[str, Any]:
        """A document with credentials for an hour, but for ``parts``; a part that is None is left out."""
        self.given += 1
        whole = {
            "AccessKeyId": f"key-{kind}-{self.given}",
            "SecretAccessKey": f"made-up-{kind}-{self.given}",
            "Token": f"token-{kind}-{self.given}",
            "Expiration": expiring(6 * 3600),
            **parts,
        }
        return {name: value for name, value in whole.items() if value is not None}


@contextlib.contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Metadata]:
    """The services on a free port of this machine."""
    state = Metadata()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self._serve()

        def do_GET(self) -> None:
            self._serve()

        def _serve(self) -> None:
            asked = f"{self.command} {self.path}"
            state.requests.append(asked)
            if asked in state.raw:
                self.wfile.write(state.raw[asked])
                if state.stalls:
                    stopped.wait(5)
                self.close_connection = True
            elif asked in state.once:
                self._answer(state.once.pop(asked), b"not now")
            elif asked in state.status:
                self._answer(state.status[asked], b"no")
            elif self.path == "/latest/api/token":
                self._token()
            elif self.path.startswith(_ROLES):
                self._instance(self.path.removeprefix(_ROLES))
            elif state.authorization is not None and self.headers["Authorization"] != state.authorization:
                self._answer(401, b"who are you?")
            else:
                self._answer(200, json.dumps(state.container).encode())

        def _token(self) -> None:
            if state.hops < 1:
                stopped.wait(5)  # nothing ever arrives; the client gives up first
                self.close_connection = True
            elif self.command != "PUT" or not self.headers["x-aws-ec2-metadata-token-ttl-seconds"]:
                self._answer(400, b"")
            else:
                token = secrets.token_hex(8)
                state.tokens.add(token)
                self._answer(200, token.encode())

        def _instance(self, role: str) -> None:
            if self.headers["x-aws-ec2-metadata-token"] not in state.tokens and not state.version_1:
                self._answer(401, b"")
            elif role:
                self._answer(200 if role == state.role else 404, json.dumps(state.instance).encode())
            else:
                self._answer(200, state.role.encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that hangs up is what some tests are about

    stopped = threading.Event()
    with Server((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        state.url = f"http://{host}:{server.server_address[1]}"
        state.instance = state.document("instance")
        state.container = state.document("container")
        try:
            yield state
        finally:
            stopped.set()
            server.shutdown()

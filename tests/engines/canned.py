"""An HTTP server that answers as told: for what no emulator does, such as failing, babbling and hanging up."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer; ``hang_up`` closes the connection without any."""

    status: int = 200
    body: bytes = b"{}"
    hang_up: bool = False


def refusal(code: str, message: str = "", status: int = 400, **more: Any) -> Answer:
    """An error in the JSON protocol."""
    document = {"__type": f"com.amazonaws#{code}", "message": message, **more}
    return Answer(status, json.dumps(document).encode())


@dataclass
class Canned:
    """A running server: ``url``, what it got, and what it says."""

    url: str
    answer: Callable[[Mapping[str, str], bytes], Answer]
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextlib.contextmanager
def canned(*answers: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Canned]:
    """A server that gives ``answers`` in turn, and the last of them ever after."""
    left = list(answers)

    def in_turn(headers: Mapping[str, str], body: bytes) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            running.requests.append((headers, body))
            answer = running.answer(headers, body)
            if answer.hang_up:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    running = Canned(f"{scheme}://127.0.0.1:{server.server_address[1]}", in_turn)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A server that does on its connections exactly what a test says, byte by byte, with or without TLS."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, wire: Wire) -> None:
        self._sock = sock
        self._wire = wire
        self._buffer = b""

    def request(self) -> bytes | None:
        """The next request, as it came; None where the client has closed the connection instead."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, _ = self._buffer.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        end = len(head) + 4 + length
        while len(self._buffer) < end:
            if not self._more():
                return None
        request, self._buffer = self._buffer[:end], self._buffer[end:]
        with self._wire.lock:
            self._wire.requests.append(request)
        return request

    def hello(self) -> bytes:
        """Whatever comes first."""
        return self._more()

    def send(self, data: bytes) -> None:
        """Send, whether or not the client still listens."""
        with contextlib.suppress(OSError):
            self._sock.sendall(data)

    def reset(self) -> None:
        """Close the connection the hard way."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._sock.close()

    def gone(self) -> bool:
        """Whether the client has closed the connection."""
        self._sock.setblocking(False)
        try:
            return not self._sock.recv(1)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._sock.setblocking(True)

    def stall(self) -> None:
        """Say nothing until the client gives up."""
        while self._more():
            pass

    def _more(self) -> bytes:
        data = b""
        with contextlib.suppress(OSError):
            data = self._sock.recv(65536)
        self._buffer += data
        return data


Script = Callable[[Peer], None]


@dataclass
class Wire:
    """A running server: ``url``, the connections that came about, and the requests on them.

    ``closed`` is released for each connection that the server is done with.
    """

    url: str
    connections: int = 0
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    requests: list[bytes] = field(default_factory=list, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, whatever host ``url`` names."""
        return "127.0.0.1", int(self.url.rpartition(":")[2])


def answering(*answers: bytes, close: bool = False) -> Script:
    """Answer each request with the next of ``answers``, the last one ever after; ``close`` after the last."""

    def script(peer: Peer) -> None:
        left = list(answers)
        while peer.request() is not None:
            peer.send(left.pop(0) if len(left) > 1 else left[0])
            if close:
                return

    return script


def ok(body: bytes, *headers: bytes) -> bytes:
    """A well-formed answer."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, len(body), body)


def echoing(peer: Peer) -> None:
    """Answer each request with the table that it names, as an item: whose answer is whose shows."""
    while (request := peer.request()) is not None:
        peer.send(echo(request))


def table_of(request: bytes) -> str:
    """The table that a request names."""
    return str(json.loads(request.partition(b"\r\n\r\n")[2])["TableName"])


def echo(request: bytes) -> bytes:
    """The answer that holds nothing but that table's name."""
    return ok(json.dumps({"Items": [{"name": {"S": table_of(request)}}]}).encode())


@contextlib.contextmanager
def wire(*scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Wire]:
    """A server that runs the next of ``scripts`` on each connection, and the last of them on all later ones."""
    left = list(scripts)
    listener = socket.create_server(("127.0.0.1", 0))
    running = Wire(f"{'http' if tls is None else 'https'}://{host}:{listener.getsockname()[1]}")
    threads: list[threading.Thread] = []

    def serve(plain: socket.socket, script: Script) -> None:
        with plain:
            try:
                sock = plain if tls is None else tls.wrap_socket(plain, server_side=True)
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                script(Peer(sock, running))
        running.closed.release()

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with running.lock:
                running.connections += 1
                script = left.pop(0) if len(left) > 1 else left[0]
            thread = threading.Thread(target=serve, args=(sock, script), daemon=True)
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield running
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()

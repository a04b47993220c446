"""Whom the direct transport trusts: Amazon's roots first, what boto3 trusts in the end, and nobody else."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import warnings
from pathlib import Path
from typing import Any

import botocore
import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from dynastash.aws.base import CallError, Operation
from dynastash.aws.direct import tls
from dynastash.aws.direct.tls import TlsSettings, Trust, usual_bundle
from dynastash.errors import ConfigError
from tests.engines.certificates import Authority
from tests.engines.transports import direct
from tests.engines.wire import Peer, Wire, answering, ok, wire

QUERY = Operation.QUERY
HOST = "dynamodb.eu-west-1.amazonaws.com"
ROOTS = (
    "Amazon Root CA 1",
    "Amazon Root CA 2",
    "Amazon Root CA 3",
    "Amazon Root CA 4",
    "Starfield Services Root Certificate Authority - G2",
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "other")


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name leads to this machine."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, port, **options: resolve("127.0.0.1", port, **options))


def certificates(path: Path) -> dict[str, x509.Certificate]:
    """The certificates in ``path`` by their fingerprints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a root with an uncommon serial number
        found = x509.load_pem_x509_certificates(path.read_bytes())
    return {certificate.fingerprint(hashes.SHA256()).hex(): certificate for certificate in found}


class TestRoots:
    """Five certificates ship with the package."""

    @pytest.mark.parametrize("bundle", [Path(certifi.where()), Path(botocore.__file__).with_name("cacert.pem")])
    def test_they_are_those_of_the_usual_bundles(self, bundle: Path) -> None:
        """Nothing is trusted by them that would not be trusted without them."""
        shipped = certificates(Path(tls._AMAZON_ROOTS))
        names = [
            certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for certificate in shipped.values()
        ]
        assert sorted(names) == sorted(ROOTS)
        assert shipped.keys() <= certificates(bundle).keys()

    def test_the_fingerprints_beside_them_are_theirs(self) -> None:
        """For whoever compares them with Amazon's list."""
        text = Path(tls._AMAZON_ROOTS).read_text()
        assert re.findall(r"# SHA-256 (\w{64})", text) == list(certificates(Path(tls._AMAZON_ROOTS)))
        assert tuple(re.findall(r"# (.*)\n# SHA-256", text)) == ROOTS

    def test_the_usual_bundle_is_botocores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """certifi's where that is installed, else its own."""
        from botocore.httpsession import get_cert_path

        assert usual_bundle() == get_cert_path(True)
        monkeypatch.setitem(__import__("sys").modules, "certifi", None)
        assert usual_bundle() == str(Path(botocore.__file__).with_name("cacert.pem"))


class TestContexts:
    """One for each set of roots, made once."""

    @pytest.mark.parametrize("few", [True, False])
    def test_they_verify(self, few: bool) -> None:
        """Chain and host name, by TLS 1.2 at least."""
        context = Trust(TlsSettings()).context(few)
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.cert_store_stats()["x509_ca"] == 5 if few else context.cert_store_stats()["x509_ca"] > 50

    def test_threads_share_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Loading the bundle takes longer than a handshake."""
        made: list[ssl.SSLContext] = []
        make = Trust._make
        monkeypatch.setattr(Trust, "_make", lambda self, few: made.append(make(self, few)) or made[-1])
        trust = Trust(TlsSettings())
        together = threading.Barrier(4)
        got: list[ssl.SSLContext] = []

        def get() -> None:
            together.wait()
            got.append(trust.context(True))

        threads = [threading.Thread(target=get) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert got == made * 4

    @pytest.mark.parametrize(
        ("host", "few"),
        [
            (HOST, True),
            ("kms.us-east-1.api.aws", True),
            ("kms.cn-north-1.amazonaws.com.cn", True),
            ("amazonaws.com.example.org", False),
            ("evilamazonaws.com", False),
            ("localhost", False),
        ],
    )
    def test_only_aws_is_tried_with_few(self, host: str, few: bool) -> None:
        """Others would be asked twice."""
        assert Trust(TlsSettings()).few_suffice(host) is few
        assert not Trust(TlsSettings("/some/bundle.pem")).few_suffice(host)


@pytest.mark.usefixtures("everywhere")
class TestFallback:
    """A server in AWS's name."""

    @staticmethod
    def serve(authority: Authority, host: str = HOST) -> Any:
        return wire(answering(ok(b'{"Count": 1}')), tls=authority.server(host), host=HOST)

    @staticmethod
    def ask(server: Wire, **options: Any) -> Any:
        return direct(server.url, **options).call(QUERY, {})

    def test_amazons_roots_are_enough(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        """The bundle is not even looked for."""
        monkeypatch.setattr(tls, "_AMAZON_ROOTS", str(authority.bundle))
        monkeypatch.setattr(tls, "usual_bundle", lambda: pytest.fail("loaded the bundle"))
        with self.serve(authority) as server:
            assert self.ask(server) == {"Count": 1}
        assert server.connections == 1

    def test_the_bundle_decides_where_they_are_not(
        self, authority: Authority, other: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing was sent to the unverified server, and later connections start with the bundle."""
        monkeypatch.setattr(tls, "_AMAZON_ROOTS", str(other.bundle))
        monkeypatch.setattr(tls, "usual_bundle", lambda: str(authority.bundle))
        with self.serve(authority) as server:
            transport = direct(server.url)
            assert transport.call(QUERY, {}) == {"Count": 1}
            assert (server.connections, len(server.requests)) == (2, 1)
            transport.close()
            assert transport.call(QUERY, {}) == {"Count": 1}
            assert server.connections == 3

    def test_the_bundle_decides_in_a_flight(
        self, authority: Authority, other: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each connection on its own; all calls end well."""
        monkeypatch.setattr(tls, "_AMAZON_ROOTS", str(other.bundle))
        monkeypatch.setattr(tls, "usual_bundle", lambda: str(authority.bundle))
        with self.serve(authority) as server:
            flight = direct(server.url).flight()
            for ticket in range(10):
                flight.send(ticket, QUERY, {})
            ends = [end for _ in range(10) for end in flight.wait(None)]
            flight.close()
        assert sorted(ends, key=lambda end: end[0]) == [(ticket, {"Count": 1}) for ticket in range(10)]

    @pytest.mark.parametrize("fault", ["host", "authority"])
    def test_what_neither_verifies_is_refused(
        self, authority: Authority, other: Authority, monkeypatch: pytest.MonkeyPatch, fault: str
    ) -> None:
        """In one line, before anything was sent."""
        monkeypatch.setattr(tls, "_AMAZON_ROOTS", str(other.bundle))
        monkeypatch.setattr(tls, "usual_bundle", lambda: str((authority if fault == "host" else other).bundle))
        host = "kms.eu-west-1.amazonaws.com" if fault == "host" else HOST
        with self.serve(authority, host) as server, pytest.raises(ConfigError) as caught:
            self.ask(server)
        assert str(caught.value) == f"the TLS certificate of {server.url}/ cannot be verified"
        assert server.requests == []

    def test_a_bundle_of_the_users_is_used_alone(
        self, authority: Authority, other: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where Amazon's roots would verify the server."""
        monkeypatch.setattr(tls, "_AMAZON_ROOTS", str(authority.bundle))
        monkeypatch.setattr(tls, "usual_bundle", lambda: str(authority.bundle))
        with self.serve(authority) as server, pytest.raises(ConfigError, match="cannot be verified"):
            self.ask(server, tls=TlsSettings(str(other.bundle)))
        assert server.connections == 1


class TestHandshake:
    """Before there is a connection, nothing was done."""

    def test_a_prepared_connection_is_taken(self, authority: Authority) -> None:
        """TLS 1.3 sends tickets behind the handshake: a connection that holds them is not a closed one."""
        with wire(answering(ok(b'{"Count": 1}')), tls=authority.server("127.0.0.1")) as server:
            transport = direct(server.url, tls=TlsSettings(str(authority.bundle)))
            for _ in range(3):
                transport.prepare("kms")
                assert transport.call(Operation.DECRYPT, {}) == {"Count": 1}
        assert (server.connections, len(server.requests)) == (1, 3)

    def test_a_closed_connection_is_replaced(self, authority: Authority) -> None:
        """As without TLS."""
        script = answering(ok(b'{"Count": 1}'), close=True)
        with wire(script, tls=authority.server("127.0.0.1")) as server:
            transport = direct(server.url, tls=TlsSettings(str(authority.bundle)))
            for _ in range(2):
                assert transport.call(QUERY, {}) == {"Count": 1}
                assert server.closed.acquire(timeout=20)
        assert server.connections == 2

    def test_a_directory_of_authorities(self, authority: Authority, tmp_path: Path) -> None:
        """As OpenSSL lays it out."""
        import subprocess

        directory = tmp_path / "authorities"
        directory.mkdir()
        (directory / "one.pem").write_bytes(authority.bundle.read_bytes())
        subprocess.run(["openssl", "rehash", str(directory)], check=True, capture_output=True)
        with wire(answering(ok(b'{"Count": 1}')), tls=authority.server("127.0.0.1")) as server:
            assert direct(server.url, tls=TlsSettings(str(directory))).call(QUERY, {}) == {"Count": 1}

    @pytest.mark.parametrize(
        ("script", "code", "words"),
        [
            (Peer.stall, "ConnectTimeoutError", "connect timeout on endpoint URL"),
            (lambda peer: peer.hello() and None, "ConnectionClosedError", "connection was closed before"),
            (lambda peer: peer.hello() and peer.send(b"HTTP/1.1 400 Bad\r\n\r\n"), "SSLError", "SSL validation failed"),
        ],
        ids=["stalled", "closed", "plain HTTP"],
    )
    def test_a_handshake_that_fails_is_no_connection(self, script: Any, code: str, words: str) -> None:
        """The SDK's transport cannot tell this from an answer that never came; here it is certain: nothing was done."""
        from dynastash.aws.base import Failure
        from dynastash.aws.direct.connection import Timeouts

        with wire(script) as server, pytest.raises(CallError) as caught:
            direct(server.url.replace("http", "https"), timeouts=Timeouts(0.3, 5, 5)).call(QUERY, {})
        assert (caught.value.failure, caught.value.code) == (Failure.UNREACHABLE, code)
        assert caught.value.message.startswith(words)

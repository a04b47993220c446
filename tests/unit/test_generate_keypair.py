"""Key pairs: other software reads them, and the public key belongs to the private one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519

from dynastash.errors import InvalidArgumentError
from dynastash.generate import ALGORITHMS, ENCODINGS, KeyPair, generate, public_key
from dynastash.models import Plaintext

MESSAGE = b"message"
BEGINNING = {"pem": b"-----BEGIN PRIVATE KEY-----\n", "openssh": b"-----BEGIN OPENSSH PRIVATE KEY-----\n"}


def _verify(private: object, public: object) -> None:
    """A signature by ``private`` that ``public`` accepts; the kind of key is checked on the way."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        public.verify(private.sign(MESSAGE), MESSAGE)  # type: ignore[attr-defined]
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        algorithm = ec.ECDSA(hashes.SHA256())
        public.verify(private.sign(MESSAGE, algorithm), MESSAGE, algorithm)  # type: ignore[attr-defined]
    else:
        assert isinstance(private, rsa.RSAPrivateKey)
        signature = private.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
        public.verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA256())  # type: ignore[attr-defined]


def _kind(private: object) -> str:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return {"secp256r1": "p256", "secp384r1": "p384"}[private.curve.name]
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.public_key().public_numbers().e == 65537
    return f"rsa-{private.key_size}"


def _load(data: bytes) -> object:
    load = serialization.load_ssh_private_key if b"OPENSSH" in data[:40] else serialization.load_pem_private_key
    return load(data, password=None)


@pytest.mark.parametrize(
    ("algorithm", "encoding"),
    [
        ("ed25519", "pem"),
        ("ed25519", "openssh"),
        ("p256", "pem"),
        ("p256", "openssh"),
        ("p384", "pem"),
        ("p384", "openssh"),
        ("rsa-3072", "openssh"),
        ("rsa-4096", "pem"),
    ],
)
def test_private_keys_parse_and_public_keys_match(algorithm: str, encoding: str) -> None:
    value = generate(KeyPair(algorithm, encoding))
    assert value.expose().startswith(BEGINNING[encoding])
    assert value.expose().endswith(b"-----\n")
    private = _load(value.expose())
    assert _kind(private) == algorithm
    spki, line = public_key(value, "pem"), public_key(value, "openssh")
    assert spki.startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    _verify(private, serialization.load_pem_public_key(spki))
    _verify(private, serialization.load_ssh_public_key(line))


def test_a_public_key_is_encoded_as_its_private_key_is_unless_asked_otherwise() -> None:
    for encoding in ENCODINGS:
        value = generate(KeyPair(encoding=encoding))
        assert public_key(value) == public_key(value, encoding)
    assert public_key(value, "pem") != public_key(value, "openssh")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_openssh_itself_reads_the_key_and_finds_the_same_public_key(algorithm: str, tmp_path: Path) -> None:
    value = generate(KeyPair(algorithm, "openssh"))
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_bytes(value.expose())
    printed = subprocess.run(["ssh-keygen", "-y", "-f", str(file)], capture_output=True, check=True).stdout
    assert printed.split()[:2] == public_key(value).split()


def test_every_key_is_new() -> None:
    assert generate(KeyPair()) != generate(KeyPair())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"hunter2",
        b"\xff\x00",
        BEGINNING["pem"] + b"hunter2\n-----END PRIVATE KEY-----\n",
        BEGINNING["openssh"] + b"hunter2\n-----END OPENSSH PRIVATE KEY-----\n",
        BEGINNING["openssh"] + b"aHVudGVyMg==\n-----END OPENSSH PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_private_key_is_refused_without_being_quoted(value: bytes) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        public_key(Plaintext(value))
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"


def test_encrypted_and_unsuitable_keys_are_refused() -> None:
    """A key behind a passphrase; a key that OpenSSH has no encoding for; a public key."""
    key = ed25519.Ed25519PrivateKey.generate()
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    exchange = x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for value, encoding in ((encrypted, "pem"), (exchange, "openssh"), (public_key(generate(KeyPair())), "pem")):
        with pytest.raises(InvalidArgumentError):
            public_key(Plaintext(value), encoding)
    assert public_key(Plaintext(exchange), "pem").startswith(b"-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize("setting", [{"algorithm": "rsa-1024"}, {"algorithm": "ED25519"}, {"encoding": "der"}])
def test_only_known_kinds_and_encodings(setting: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError, match="not one that is known") as refused:
        KeyPair(**setting)
    assert refused.value.hint
    with pytest.raises(InvalidArgumentError):
        public_key(generate(KeyPair()), "der")


def test_strength_is_the_algorithms() -> None:
    assert {name: KeyPair(name).entropy_bits for name in ALGORITHMS} == {
        "ed25519": 128,
        "p256": 128,
        "p384": 192,
        "rsa-3072": 128,
        "rsa-4096": 128,
    }
    assert KeyPair().describe() == "key pair, ed25519, private key in PKCS #8 PEM, 128 bits of strength"
    assert KeyPair("p384", "openssh").describe() == "key pair, p384, private key in OpenSSH, 192 bits of strength"

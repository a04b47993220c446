"""Key pairs: the value is the private key, unencrypted; the public key is computed from it when it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from dynastash.errors import InvalidArgumentError
from dynastash.generate.base import Policy, check_choice
from dynastash.models import Plaintext

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# Security strength in bits, NIST SP 800-57 part 1 revision 5, table 2. RSA of 4,096 bits stands between two of its
# rows and counts as the lower.
ALGORITHMS: Final[Mapping[str, int]] = MappingProxyType(
    {"ed25519": 128, "p256": 128, "p384": 192, "rsa-3072": 128, "rsa-4096": 128}
)
"""Kind of key → security strength in bits."""

ENCODINGS: Final = ("pem", "openssh")
"""``pem``: PKCS #8 for private and SubjectPublicKeyInfo for public keys. ``openssh``: OpenSSH's own."""

_OPENSSH: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class KeyPair(Policy):
    """A key pair; the value is the private key in ``encoding``, as text that ends with a newline, not encrypted."""

    kind: ClassVar[str] = "key-pair"
    algorithm: str = "ed25519"
    encoding: str = "pem"

    def __post_init__(self) -> None:
        check_choice("the kind of key", self.algorithm, tuple(ALGORITHMS))
        check_choice("the key's encoding", self.encoding, ENCODINGS)

    @property
    def entropy_bits(self) -> float:
        """The algorithm's security strength, which is what an attacker has to overcome."""
        return float(ALGORITHMS[self.algorithm])

    def describe(self) -> str:
        encoding = "OpenSSH" if self.encoding == "openssh" else "PKCS #8 PEM"
        return f"key pair, {self.algorithm}, private key in {encoding}, {int(self.entropy_bits)} bits of strength"

    def make(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        private = PrivateFormat.OpenSSH if self.encoding == "openssh" else PrivateFormat.PKCS8
        return _new_key(self.algorithm).private_bytes(Encoding.PEM, private, NoEncryption())


def _new_key(algorithm: str) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    makers: dict[str, Callable[[], PrivateKey]] = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
        "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
    }
    return makers[algorithm]()


def public_key(private: Plaintext, encoding: str | None = None) -> bytes:
    """The public key of an unencrypted private key in PEM or OpenSSH encoding, as text that ends with a newline.

    ``encoding`` is one of :data:`ENCODINGS`; None stands for the private key's own. Raises
    :class:`InvalidArgumentError` for anything that is not such a key.
    """
    if encoding is not None:
        check_choice("the key's encoding", encoding, ENCODINGS)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    data = private.expose()
    openssh = data.lstrip().startswith(_OPENSSH)
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        public = load(data, password=None).public_key()
        if encoding == "openssh" or (encoding is None and openssh):
            written = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            return written + b"\n"
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: the key is encrypted
        # Not chained: the cause may quote the key.
        raise InvalidArgumentError(
            "the value is not an unencrypted private key whose public key can be written so",
            hint=f"public keys come from private keys in {' or '.join(ENCODINGS)} encoding",
        ) from None

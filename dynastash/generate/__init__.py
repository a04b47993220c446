"""New values: passwords, passphrases, random bytes, key pairs. The operating system's randomness and nothing else.

A :class:`Policy` says how a value is made and is carried by the secret itself, so that rotating it needs no more than
its name. A policy only ever *describes a value*; it never names a program. Whoever can write records could otherwise
have a command run on the machine of whoever rotates.
"""

from dynastash.generate.base import FLOOR_BITS, WEAKEST_BITS, Policy, generate
from dynastash.generate.items import from_item
from dynastash.generate.keypair import ALGORITHMS, ENCODINGS, KeyPair, public_key
from dynastash.generate.passphrase import Passphrase
from dynastash.generate.password import ALPHABETS, Password
from dynastash.generate.randombytes import RandomBytes

__all__ = [
    "ALGORITHMS",
    "ALPHABETS",
    "ENCODINGS",
    "FLOOR_BITS",
    "WEAKEST_BITS",
    "KeyPair",
    "Passphrase",
    "Password",
    "Policy",
    "RandomBytes",
    "from_item",
    "generate",
    "public_key",
]

"""HMAC-SHA-512 and HKDF-SHA-512: known answers, an independent implementation, and keys that stay hidden."""

from __future__ import annotations

import copy
import dataclasses
import hmac
import pickle

import pytest
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from dynastash.crypto.kdf import SUITE, DerivedKeys, derive
from dynastash.models import DataKey
from tests.unit import crypto_reference as reference

# RFC 4231, section 4: key, data, HMAC-SHA-512 (case 5 is about truncation).
RFC_4231 = {
    "case-1": (
        b"\x0b" * 20,
        b"Hi There",
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
    ),
    "case-2": (
        b"Jefe",
        b"what do ya want for nothing?",
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    ),
    "case-3": (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
        "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
    ),
    "case-4": (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
        "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
    ),
    "case-6": (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
    ),
    "case-7": (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
        "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58",
    ),
}


@pytest.mark.parametrize(("key", "data", "digest"), RFC_4231.values(), ids=RFC_4231)
def test_the_hmac_in_use_gives_rfc_4231s_answers(key: bytes, data: bytes, digest: str) -> None:
    """Product and reference implementation both stand on a right HMAC-SHA-512."""
    assert hmac.digest(key, data, "sha512").hex() == digest
    assert reference.mac(key, data).hex() == digest


def test_suite() -> None:
    """The suite's two bytes are what the specification says."""
    assert bytes([1, 1]) == SUITE


def test_each_key_is_hkdf_with_its_own_label() -> None:
    """Extract-and-Expand by another implementation, labels spelled out byte by byte."""
    keys = derive(DataKey(reference.KEY), reference.SALT)
    for got, label, length in ((keys.encryption, b"enc", 32), (keys.mac, b"mac", 64), (keys.head, b"head", 64)):
        info = bytes.fromhex("64796e6173746173682f763100010100") + label
        expected = HKDF(algorithm=SHA512(), length=length, salt=reference.SALT, info=info).derive(reference.KEY)
        assert got == expected
        assert len(got) == length


def test_expand_and_extract_apart() -> None:
    """Extract is HMAC under the salt; Expand agrees with an Expand-only implementation."""
    extracted = reference.mac(reference.SALT, reference.KEY)
    keys = derive(DataKey(reference.KEY), reference.SALT)
    for got, label in ((keys.encryption, b"enc"), (keys.mac, b"mac"), (keys.head, b"head")):
        expand = HKDFExpand(algorithm=SHA512(), length=len(got), info=b"dynastash/v1\x00\x01\x01\x00" + label)
        assert got == expand.derive(extracted)


FROZEN_ENCRYPTION = "be5a0af86242ba9d7be8128fa3cb87dda5418386a042691fd4bb1664a1282eb5"
FROZEN_MAC = (
    "c233e48bfaf3c2e35929dc68eb3bfc63687f2f51e62045712a1c6f5ebdc9e781"
    "3aa82931de5af70569d2eb668d74f89af58adddc6417ccbab81ff2c337fdffbd"
)
FROZEN_HEAD = (
    "e06b0959387387a0da7299ce1d0e523eaffc9c9a56268670d76c3b1b0e39f2fd"
    "492d4d3be39dfcde8aa491956d6f5d43a773fd431d924f6e116dc9cf695db5a0"
)


def test_frozen_answer() -> None:
    """The derivation never changes between releases: these bytes were computed once and stay."""
    keys = derive(DataKey(bytes(32)), bytes(32))
    assert keys.encryption.hex() == FROZEN_ENCRYPTION
    assert keys.mac.hex() == FROZEN_MAC
    assert keys.head.hex() == FROZEN_HEAD


def test_keys_differ_from_each_other_and_follow_both_inputs() -> None:
    """No two of the keys share a prefix, and each changes with the data key and with the salt."""
    one = derive(DataKey(reference.KEY), reference.SALT)
    other = derive(DataKey(reference.OTHER_KEY), reference.SALT)
    salted = derive(DataKey(reference.KEY), bytes(32))
    every = [key for keys in (one, other, salted) for key in (keys.encryption, keys.mac, keys.head)]
    assert len({key[:32] for key in every}) == 9


def test_derived_keys_do_not_show_or_leave() -> None:
    """K_mac and K_head forge records and heads: they stand in no repr, and dataclass helpers and pickle refuse."""
    keys = DerivedKeys(encryption=b"E" * 32, mac=b"M" * 64, head=b"H" * 64)
    for shown in (repr(keys), str(keys), f"{keys}", f"{keys!r}"):
        assert shown == "DerivedKeys(hidden)"
    with pytest.raises(TypeError):
        dataclasses.asdict(keys)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        vars(keys)
    for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            refuse(keys)

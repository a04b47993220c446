"""What all policies have in common: how they are stored, and how strong they must be."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar, Final, TypeVar

from dynastash.errors import InvalidArgumentError
from dynastash.models import AttributeValue, Plaintext

FLOOR_BITS: Final = 64
"""Least entropy of a password or passphrase, unless the policy allows a weak one."""

WEAKEST_BITS: Final = 10
"""Least entropy where a weak value is allowed: a PIN of four digits has 13."""

_T = TypeVar("_T")


class Policy(ABC):
    """How a new value is made. Each kind is a frozen dataclass, and equal policies make values of the same kind.

    Every field has a default, whose type (``str``, ``int`` or ``bool``) is the type that it is stored as. Values out
    of range, and policies too weak to guard anything, raise :class:`InvalidArgumentError` from the constructor.
    """

    __slots__ = ()
    kind: ClassVar[str]

    @property
    @abstractmethod
    def entropy_bits(self) -> float:
        """How hard the value is to guess for somebody who knows the policy, in bits; of a key pair, its strength."""

    @abstractmethod
    def describe(self) -> str:
        """The policy in one line: ``password, 32 characters of A-Z a-z 0-9, 190 bits``."""

    @abstractmethod
    def make(self) -> bytes:
        """A new value's bytes. :func:`generate` is what callers use."""

    def to_item(self) -> dict[str, AttributeValue]:
        """The policy in DynamoDB's notation, well under 4 KiB: ``kind`` and every setting, defaults too.

        A default that a later release changes must not change what a stored policy means.
        """
        stored: dict[str, AttributeValue] = {"kind": {"S": self.kind}}
        for setting in fields(self):  # type: ignore[arg-type]  # every kind is a dataclass
            stored[setting.name] = _attribute(getattr(self, setting.name))
        return stored


def generate(policy: Policy) -> Plaintext:
    """A new value by ``policy``, at most :data:`~dynastash.models.MAX_VALUE` bytes."""
    return Plaintext(policy.make())


def pick(members: Sequence[_T]) -> _T:
    """One of ``members``, each equally likely: ``randbelow`` draws again rather than fold a remainder over."""
    return members[secrets.randbelow(len(members))]


def check_whole(what: str, number: object, minimum: int, maximum: int) -> None:
    """Raise :class:`InvalidArgumentError` unless ``number`` is an ``int`` from ``minimum`` to ``maximum``."""
    if type(number) is not int or not minimum <= number <= maximum:
        raise InvalidArgumentError(f"{what} is out of range", hint=f"give a whole number from {minimum} to {maximum}")


def check_choice(what: str, choice: object, choices: Sequence[str], more: str = "") -> None:
    """Raise :class:`InvalidArgumentError` unless ``choice`` is one of ``choices``."""
    if not isinstance(choice, str) or choice not in choices:
        raise InvalidArgumentError(f"{what} is not one that is known", hint=f"use {', '.join(choices)}{more}")


def check_flag(what: str, flag: object) -> None:
    """Raise :class:`InvalidArgumentError` unless ``flag`` is True or False."""
    if not isinstance(flag, bool):
        raise InvalidArgumentError(f"{what} is neither true nor false")


def check_strength(what: str, bits: float, *, allow_weak: bool, longer: str) -> None:
    """Raise :class:`InvalidArgumentError` where ``bits`` do not reach the floor. ``longer`` is what would help."""
    if bits >= (WEAKEST_BITS if allow_weak else FLOOR_BITS):
        return
    if allow_weak:
        raise InvalidArgumentError(
            f"{what} has {int(bits)} bits of entropy, and no value may have fewer than {WEAKEST_BITS}", hint=longer
        )
    raise InvalidArgumentError(
        f"{what} has {int(bits)} bits of entropy, fewer than {FLOOR_BITS}",
        hint=f"{longer}, or allow a weak value where nothing stronger is accepted, as for a PIN",
    )


def _attribute(setting: Any) -> AttributeValue:
    if isinstance(setting, bool):  # before int: True is one
        return {"BOOL": setting}
    return {"N": str(setting)} if isinstance(setting, int) else {"S": setting}

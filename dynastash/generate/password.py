"""Passwords: characters drawn from an alphabet."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import log2
from types import MappingProxyType
from typing import ClassVar, Final

from dynastash.errors import InvalidArgumentError
from dynastash.generate.base import Policy, check_choice, check_flag, check_strength, check_whole, pick

MAX_LENGTH: Final = 4096

_LETTERS_AND_DIGITS: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits
_LOOK_ALIKES: Final = "0O1Il"
# What is left of punctuation without the characters that an unquoted word of the shell, the user part of a URL, a
# dotenv file, a crontab or Amazon RDS take for something else.
_HARMLESS: Final = "+,-.:=_"

ALPHABETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alphanumeric": _LETTERS_AND_DIGITS,
        "symbols": "".join(c for c in _LETTERS_AND_DIGITS if c not in _LOOK_ALIKES) + _HARMLESS,
        "hex": string.digits + "abcdef",
        "base64url": _LETTERS_AND_DIGITS + "-_",
        "digits": string.digits,
    }
)
"""Alphabet's name → its characters. ``symbols`` leaves out look-alikes and whatever shells and URLs trip over."""

CHARACTERS: Final = "chars:"
"""Before an alphabet of one's own: ``chars:ABC123``."""

_CLASSES: Final = (string.ascii_uppercase, string.ascii_lowercase, string.digits, string.punctuation)
_MOST_REJECTED: Final = 1000


@dataclass(frozen=True, slots=True)
class Password(Policy):
    """``length`` characters (at most 4,096) of ``alphabet``, each drawn on its own.

    ``alphabet`` is a name in :data:`ALPHABETS`, or ``chars:`` and at least two different printable ASCII characters
    other than the space. With ``each_class`` the password has at least one of each class (upper case, lower case,
    digits, punctuation) that the alphabet has: whole passwords are drawn again until one does, so that all that
    qualify are equally likely. ``allow_weak`` lowers the floor of 64 bits of entropy to 10, for PINs and the like.
    """

    kind: ClassVar[str] = "password"
    length: int = 32
    alphabet: str = "alphanumeric"
    each_class: bool = False
    allow_weak: bool = False

    def __post_init__(self) -> None:
        check_whole("the length of the password", self.length, 1, MAX_LENGTH)
        check_flag("each_class", self.each_class)
        check_flag("allow_weak", self.allow_weak)
        _check_alphabet(self.alphabet)
        accepted = self._accepted()
        if accepted * _MOST_REJECTED < len(self.characters) ** self.length:
            raise InvalidArgumentError(
                "too few passwords of this length have a character of each class", hint="make the password longer"
            )
        check_strength(
            f"a password of {self.length} characters of {_spell(self.characters)}",
            log2(accepted),
            allow_weak=self.allow_weak,
            longer="make the password longer",
        )

    @property
    def characters(self) -> str:
        """The alphabet's characters."""
        return ALPHABETS.get(self.alphabet) or self.alphabet.removeprefix(CHARACTERS)

    @property
    def entropy_bits(self) -> float:
        """log2 of the number of passwords that can come out; all are equally likely."""
        return log2(self._accepted())

    def describe(self) -> str:
        classes = ", at least one of each class" if self.each_class else ""
        return (
            f"password, {self.length} characters of {_spell(self.characters)}{classes}, {int(self.entropy_bits)} bits"
        )

    def make(self) -> bytes:
        characters, classes = self.characters, self._classes()
        while True:
            drawn = [pick(characters) for _ in range(self.length)]
            # Setting one position right instead of drawing anew would make some passwords likelier than others.
            if all(not members.isdisjoint(drawn) for members in classes):
                return "".join(drawn).encode("ascii")

    def _classes(self) -> list[frozenset[str]]:
        """The classes that must occur, each as the alphabet's share of it."""
        if not self.each_class:
            return []
        return [shared for members in _CLASSES if (shared := frozenset(members) & frozenset(self.characters))]

    def _accepted(self) -> int:
        """How many passwords can come out: by inclusion and exclusion over the classes that could be missing."""
        size, classes = len(self.characters), self._classes()
        return sum(
            (-1) ** count * (size - sum(map(len, missing))) ** self.length
            for count in range(len(classes) + 1)
            for missing in combinations(classes, count)
        )


def _check_alphabet(alphabet: object) -> None:
    if not isinstance(alphabet, str) or not alphabet.startswith(CHARACTERS):
        check_choice("the alphabet", alphabet, tuple(ALPHABETS), f", or {CHARACTERS} and the characters themselves")
        return
    characters = alphabet.removeprefix(CHARACTERS)
    if not all("!" <= character <= "~" for character in characters):
        raise InvalidArgumentError(
            "the alphabet has a character that is not printable ASCII, or a space", hint="use the characters ! to ~"
        )
    # A character that stood there twice would be twice as likely.
    if len(characters) < 2 or len(set(characters)) != len(characters):
        raise InvalidArgumentError(
            "the alphabet has a character twice, or fewer than two", hint="give each character once, at least two"
        )


def _spell(characters: str) -> str:
    """An alphabet for people: ``A-Z a-z 0-9 -_``."""
    parts = []
    for members in _CLASSES:
        runs: list[str] = []
        for character in sorted(set(members) & set(characters)):
            if runs and ord(character) == ord(runs[-1][-1]) + 1:
                runs[-1] += character
            else:
                runs.append(character)
        if members is string.punctuation:
            parts.append("".join(runs))
        else:
            parts.extend(f"{run[0]}-{run[-1]}" if len(run) > 2 else run for run in runs)
    return " ".join(part for part in parts if part)

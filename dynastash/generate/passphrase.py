"""Passphrases: words that people can type, read out and remember."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import log2
from typing import ClassVar, Final

from dynastash.errors import ConfigError, InvalidArgumentError
from dynastash.generate.base import Policy, check_flag, check_strength, check_whole, pick

MAX_WORDS: Final = 256
MAX_SEPARATOR: Final = 8

WORDS: Final = 7772
"""How many words there are to choose from: EFF's long list of 7,776 without the four that have a hyphen."""

_WORD = re.compile(r"[a-z]+")
_SEPARATOR = re.compile(r"[ -`{-~]{1,8}")


@dataclass(frozen=True, slots=True)
class Passphrase(Policy):
    """``words`` words (at most 256) of EFF's long list with ``separator`` between them.

    The separator is 1 to 8 printable ASCII characters, spaces included, that are not lower-case letters: without one,
    different words could make the same passphrase. ``allow_weak`` lowers the floor of 64 bits of entropy to 10.
    """

    kind: ClassVar[str] = "passphrase"
    words: int = 7
    separator: str = "-"
    allow_weak: bool = False

    def __post_init__(self) -> None:
        check_whole("the number of words", self.words, 1, MAX_WORDS)
        check_flag("allow_weak", self.allow_weak)
        if not isinstance(self.separator, str) or not _SEPARATOR.fullmatch(self.separator):
            raise InvalidArgumentError(
                "the separator does not keep the words apart",
                hint=f"use 1 to {MAX_SEPARATOR} printable ASCII characters that are not lower-case letters",
            )
        check_strength(
            f"a passphrase of {self.words} words",
            self.entropy_bits,
            allow_weak=self.allow_weak,
            longer="use more words",
        )

    @property
    def entropy_bits(self) -> float:
        """12.92 bits for each word."""
        return self.words * log2(WORDS)

    def describe(self) -> str:
        return f"passphrase, {self.words} of {WORDS} words, {int(self.entropy_bits)} bits"

    def make(self) -> bytes:
        """The value. Raises :class:`ConfigError` where the word list is not the one that the entropy is computed of."""
        words = _word_list()
        return self.separator.join(pick(words) for _ in range(self.words)).encode("ascii")


def _word_list() -> list[str]:
    from importlib import resources

    try:
        listed = resources.files("xkcdpass").joinpath("static", "eff-long").read_text("ascii")
    except (ImportError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the word list of the package xkcdpass cannot be read", hint="install xkcdpass again"
        ) from error
    # A word that stood there twice would be twice as likely; a shorter list would make weaker passphrases than said.
    words = sorted({word for word in listed.split() if _WORD.fullmatch(word)})
    if len(words) < WORDS:
        raise ConfigError(
            f"the word list of the package xkcdpass has {len(words)} words instead of {WORDS}",
            hint="install xkcdpass again",
        )
    return words

"""The words of the domain as frozen values: names, contexts, keys, heads, versions, secrets.

Nothing in here reads or writes. A value and a data key never stand in a ``repr``, and ``dataclasses.asdict``,
``vars`` and ``copy`` do not bring them out either: they live in :class:`Plaintext` and :class:`DataKey`, which hide
their bytes, and which refuse to be pickled.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NoReturn

from dynastash.errors import InvalidArgumentError, InvalidNameError, ValueTooLargeError
from dynastash.frozen import Frozen, field

AttributeValue = Mapping[str, Any]
"""One attribute in DynamoDB's own notation: ``{"S": "text"}``, ``{"N": "1"}``, ``{"B": b"…"}`` …"""

Item = Mapping[str, AttributeValue]
"""One stored record as the store holds it: attribute name → :data:`AttributeValue`."""

MAX_NAME: Final = 512
MAX_VERSION: Final = 9_999_999_999
MAX_VALUE: Final = 320 * 1024
MAX_COMMENT: Final = 1024
MAX_CONTENT_TYPE: Final = 256
MAX_PAIRS: Final = 20
MAX_PAIRS_BYTES: Final = 4096
RESERVED: Final = "dynastash:"
"""Prefix of the encryption-context keys that dynastash itself sets."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,30}")
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+=:-]*(/[A-Za-z0-9_.@+=:-]+)*")


def check_environment(environment: str) -> str:
    """Return ``environment`` unchanged, or raise :class:`InvalidNameError`."""
    if not isinstance(environment, str) or not _ENVIRONMENT.fullmatch(environment):
        raise InvalidNameError(
            f"{_shown(environment)} is not a name for an environment",
            hint="use 1 to 31 lower-case letters, digits and hyphens, starting with a letter",
        )
    return environment


def check_name(name: str) -> str:
    """Return ``name`` unchanged, or raise :class:`InvalidNameError`. Names are public: they stand in CloudTrail."""
    if not isinstance(name, str) or not is_name(name):
        raise InvalidNameError(
            f"{_shown(name)} is not a name for a secret",
            hint="use letters, digits and _ . @ + = : - in segments joined by /, starting with a letter or digit, "
            f"at most {MAX_NAME} characters, no segment . or ..",
        )
    return name


def is_name(text: str) -> bool:
    """Whether ``text`` can name a secret."""
    return 0 < len(text) <= MAX_NAME and _SECRET.fullmatch(text) is not None and not _dotted(text)


def check_version(version: int) -> int:
    """Return ``version`` unchanged, or raise :class:`InvalidArgumentError`."""
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= MAX_VERSION:
        raise InvalidArgumentError(
            f"{_shown(version)} is not a version number", hint="versions are whole numbers: 1, 2, 3 …"
        )
    return version


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` unchanged if some name starts with it (the empty one: all), or raise :class:`InvalidNameError`.

    A prefix need not be a name: ``app1/`` and ``app1/.`` begin ``app1/.env``.
    """
    try:
        # One more letter makes a name of the start of any longer one.
        if prefix != "":
            check_name(prefix + "x" if isinstance(prefix, str) and len(prefix) < MAX_NAME else prefix)
    except InvalidNameError as error:
        raise InvalidNameError(f"no secret's name starts with {_shown(prefix)}", hint=error.hint) from None
    return prefix


def namespace_of(name: str) -> str:
    """The partition of the index that holds ``name``: its first segment, or ``-`` for a name without a slash."""
    first, slash, _ = name.partition("/")
    return first if slash else "-"


def _dotted(name: str) -> bool:
    return "/." in name and any(segment in (".", "..") for segment in name.split("/"))


def _shown(given: object) -> str:
    if isinstance(given, int) and abs(given) > 10 * MAX_VERSION:
        return "so large a number"  # repr refuses beyond 4,300 digits
    text = repr(given)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


class Stage(StrEnum):
    """A movable label on a version."""

    CURRENT = "current"
    PENDING = "pending"
    PREVIOUS = "previous"

    @classmethod
    def named(cls, name: Stage | str) -> Stage:
        """The stage of that name, or :class:`InvalidArgumentError`."""
        try:
            return cls(name)
        except ValueError:
            raise InvalidArgumentError(f"{_shown(name)} is not a stage", hint=f"use {', '.join(cls)}") from None


class State(StrEnum):
    """What a secret's head says of the whole secret."""

    ACTIVE = "active"
    DELETED = "deleted"
    DESTROYED = "destroyed"


class _Hidden:
    """Bytes that neither print nor pickle, and that compare in constant time."""

    __slots__ = ("_bytes",)

    def __init__(self, data: bytes) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):  # bytes(5) would be five zeros
            raise TypeError(f"{type(self).__name__} takes bytes, not {type(data).__name__}")
        self._bytes = bytes(data)

    def expose(self) -> bytes:
        """The bytes themselves."""
        return self._bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and hmac.compare_digest(self._bytes, other._bytes)

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> _Hidden:
        return self

    def __deepcopy__(self, memo: object) -> _Hidden:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is not pickled: it would leave the process in the clear")


class Plaintext(_Hidden):
    """A secret's value in the clear."""

    __slots__ = ()


class DataKey(_Hidden):
    """One version's 32-byte data key in the clear."""

    __slots__ = ()

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        if len(self._bytes) != 32:
            raise InvalidArgumentError(f"a data key has 32 bytes, not {len(self._bytes)}")


class WrappedKey(Frozen):
    """A data key encrypted under a key-encryption key. Public: useless without the provider.

    ``key_id`` names the key-encryption key for display; no decision is ever taken on it.
    """

    blob: bytes = field(repr=False)
    key_id: str


class Context(Frozen):
    """What a data key is bound to: the encryption context, authenticated and public, seen in CloudTrail.

    ``extra`` are the user's own pairs; keys starting ``dynastash:`` are refused.
    """

    environment: str
    name: str
    version: int
    extra: Mapping[str, str] = field(default_factory=dict)

    def pairs(self) -> dict[str, str]:
        """All pairs: the four that are always there, and the user's own."""
        return {
            **self.extra,
            "dynastash:env": self.environment,
            "dynastash:name": self.name,
            "dynastash:version": str(self.version),
            "dynastash:format": "1",
        }


def check_pairs(what: str, pairs: Mapping[str, str] | None) -> dict[str, str]:
    """Check the user's ``context`` or ``tags`` (``what``) against the limits of the record format.

    At most 20 pairs and 4 KiB of UTF-8 in all; a context's keys and values are not empty and its keys are not
    reserved. Raises :class:`InvalidArgumentError` or :class:`ValueTooLargeError`.
    """
    checked = dict(pairs or {})
    for key, text in checked.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise InvalidArgumentError(f"{what} has a pair that is not text")
        if not key or (what == "context" and not text):
            raise InvalidArgumentError(f"{what} has a pair with an empty side", hint="write KEY=TEXT")
        if what == "context" and key.lower().startswith(RESERVED):  # IAM's condition keys know no case
            raise InvalidArgumentError(
                f"{what} key {_shown(key)} is reserved", hint=f"choose a key that does not start with {RESERVED}"
            )
    if len(checked) > MAX_PAIRS or sum(len(encode(k, what)) + len(encode(t, what)) for k, t in checked.items()) > (
        MAX_PAIRS_BYTES
    ):
        raise ValueTooLargeError(f"{what} is too large", hint=f"at most {MAX_PAIRS} pairs and {MAX_PAIRS_BYTES} bytes")
    return checked


def encode(text: str, what: str) -> bytes:
    """UTF-8 of ``text``; lone surrogates raise :class:`InvalidArgumentError` naming ``what``."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        pass  # it carries the whole text, and an error raised in here would carry it
    raise InvalidArgumentError(f"{what} is not valid unicode text")


class Head(Frozen, kw_only=True):
    """A secret's one mutable record: which versions exist, which stages they carry, and its state.

    Times named ``_ms`` are milliseconds since the epoch, others seconds. ``rotation`` is the rotation policy in
    DynamoDB's notation. ``extra`` holds attributes of later releases: sealed, carried over, never interpreted.
    """

    name: str
    last: int
    revision: int
    pruned_below: int
    state: State
    created_ms: int
    updated_ms: int
    updated_by: str
    current: int | None = None
    pending: int | None = None
    previous: int | None = None
    destroyed: frozenset[int] = frozenset()
    disabled: frozenset[int] = frozenset()
    deleted_at: int | None = None
    purge_at: int | None = None
    comment: str | None = None
    expires_at: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    rotation: Item = field(default_factory=dict)
    extra: Item = field(default_factory=dict)
    seal: bytes | None = field(default=None, repr=False)

    @property
    def sealing_version(self) -> int | None:
        """The version under whose data key the head is sealed: current, or pending where there is no current."""
        return self.current if self.current is not None else self.pending

    def stages_of(self, version: int) -> tuple[Stage, ...]:
        """The stages that stand on ``version``."""
        pairs = ((Stage.CURRENT, self.current), (Stage.PENDING, self.pending), (Stage.PREVIOUS, self.previous))
        return tuple(stage for stage, number in pairs if number == version)


class Version(Frozen, kw_only=True):
    """What is known of one version without opening it.

    ``created_by`` is the author's ARN as the writer stated it. ``destroyed_at`` is None while the value exists.
    """

    name: str
    number: int
    created_at: datetime
    created_by: str
    stages: tuple[Stage, ...] = ()
    comment: str | None = None
    content_type: str | None = None
    expires_at: datetime | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    key_id: str | None = None
    rewrapped_at: datetime | None = None
    destroyed_at: datetime | None = None
    destroyed_by: str | None = None
    disabled: bool = False


class SecretInfo(Frozen, kw_only=True):
    """A secret as ``list`` shows it: from its head alone, without opening a version."""

    name: str
    current: int | None
    last: int
    state: State
    created_at: datetime
    updated_at: datetime
    updated_by: str
    pending: int | None = None
    previous: int | None = None
    comment: str | None = None
    expires_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    rotation: bool = False
    deleted_at: datetime | None = None
    purge_at: datetime | None = None


class Secret(Frozen, kw_only=True):
    """One opened version of a secret. The value is in :attr:`value` and :attr:`text` and in no ``repr``."""

    version: Version
    plaintext: Plaintext
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The secret's name."""
        return self.version.name

    @property
    def number(self) -> int:
        """The version's number."""
        return self.version.number

    @property
    def value(self) -> bytes:
        """The value, byte for byte as it was put."""
        return self.plaintext.expose()

    @property
    def text(self) -> str:
        """The value as text.

        Raises :class:`InvalidArgumentError` where it is not UTF-8: a ``UnicodeDecodeError`` would carry the value.
        """
        try:
            return self.value.decode("utf-8")
        except UnicodeDecodeError:
            pass  # an error raised in here would have it as its __context__, value and all
        raise InvalidArgumentError(
            f"version {self.number} of {self.name} is not UTF-8 text", hint="use .value, which is bytes"
        )


class Difference(Frozen):
    """Two opened versions of a secret, and in what they differ."""

    one: Secret
    other: Secret

    @property
    def same_value(self) -> bool:
        """Whether the values are equal, byte for byte."""
        return self.one.plaintext == self.other.plaintext

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the metadata that differ, numbers, times, authors, stages and keys aside."""
        attributes = ("comment", "content_type", "expires_at", "context")
        return tuple(
            attribute
            for attribute in attributes
            if getattr(self.one.version, attribute) != getattr(self.other.version, attribute)
        )


def from_ms(milliseconds: int) -> datetime:
    """An aware UTC datetime from milliseconds since the epoch."""
    return _EPOCH + timedelta(milliseconds=milliseconds)  # exact, which a float of seconds is not


def from_seconds(seconds: int | None) -> datetime | None:
    """An aware UTC datetime from seconds since the epoch; None stays None."""
    return None if seconds is None else _EPOCH + timedelta(seconds=seconds)

"""IAM's condition operators and globs, in a logic of three values: True, False, and None for "cannot say".

An operator, a value or a variable that is not understood is never False: whoever asks what a policy opens must not
be told "nothing" because of it.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from dynastash.policy.request import Request

_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_LITERALS: Final = {"*": "*", "?": "?", "$": "$"}  # ${*} is a star and no wildcard
_Test = Callable[[str, str, Request], bool | None]


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    """Kleene's "and": False where one is, else None where one is, else True."""
    found = list(verdicts)
    return False if False in found else None if None in found else True


def any_of(verdicts: Iterable[bool | None]) -> bool | None:
    """Kleene's "or": True where one is, else None where one is, else False."""
    found = list(verdicts)
    return True if True in found else None if None in found else False


def opposite(verdict: bool | None) -> bool | None:
    """Kleene's "not"."""
    return None if verdict is None else not verdict


def covers(pattern: str, text: str, request: Request, ignore_case: bool = False) -> bool | None:
    """Whether the glob ``pattern`` (``*``, ``?``, variables of policies) covers the whole of ``text``."""
    expression = _compiled(pattern, request)
    if not isinstance(expression, str):
        return expression
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.fullmatch(expression, text, flags) is not None


def holds(operator: str, key: str, wanted: Any, request: Request) -> bool | None:
    """One line of a Condition block: ``{operator: {key: wanted}}``."""
    quantifier, _, plain = operator.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    texts = _texts(wanted)
    if texts is None or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        return None
    found = request.values(key)
    if plain == "Null":
        return _null(found, texts) if not quantifier and not if_exists else None
    negated = plain in _NEGATED
    test = _NEGATED.get(plain) or _POSITIVE.get(plain)
    if found is None or test is None:
        return None
    if not found:  # ForAnyValue never holds of nothing; ForAllValues, IfExists and every negation do
        return if_exists or quantifier == "ForAllValues" or (not quantifier and negated)
    if not quantifier and len(found) > 1:
        return None  # AWS leaves open what a single-valued operator says of several values
    each = [any_of(test(text, value, request) for text in texts) for value in found]
    if negated:
        each = [opposite(verdict) for verdict in each]
    return any_of(each) if quantifier == "ForAnyValue" else all_of(each)


def _texts(wanted: Any) -> list[str] | None:
    listed = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    if not all(isinstance(text, str | bool | int | float) for text in listed):
        return None
    return [str(text).lower() if isinstance(text, bool) else str(text) for text in listed]


def _null(found: Sequence[str] | None, texts: list[str]) -> bool | None:
    if found is None or len(texts) != 1 or texts[0].lower() not in ("true", "false"):
        return None
    return (not found) == (texts[0].lower() == "true")


def _resolved(text: str, request: Request) -> str | bool | None:
    """``text`` with its variables filled in; False where one is absent, None where one is not known."""
    parts: list[str] = []
    position = 0
    for variable in _VARIABLE.finditer(text):
        value = _variable(variable[1], request)
        if not isinstance(value, str):
            return value
        parts += (text[position : variable.start()], value)
        position = variable.end()
    return "".join([*parts, text[position:]])


def _compiled(pattern: str, request: Request) -> str | bool | None:
    """A regular expression for a glob whose variables are filled in literally; False or None as in ``_resolved``."""
    parts: list[str] = []
    position = 0
    for variable in _VARIABLE.finditer(pattern):
        value = _variable(variable[1], request)
        if not isinstance(value, str):
            return value
        parts += (_expression(pattern[position : variable.start()]), re.escape(value))
        position = variable.end()
    return "".join([*parts, _expression(pattern[position:])])


@functools.lru_cache(maxsize=1024)
def _expression(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in re.sub(r"\*+", "*", glob))


def _variable(name: str, request: Request) -> str | bool | None:
    if name in _LITERALS:
        return _LITERALS[name]
    key, comma, default = name.partition(",")
    found = request.values(key.strip())
    if found is None or len(found) > 1:
        return None
    if found:
        return found[0]
    return default.strip().strip("'") if comma else False


def _arn_like(text: str, value: str, request: Request) -> bool | None:
    """Each of an ARN's six parts by itself: a wildcard never reaches across a colon, except in the last."""
    patterns, parts = text.split(":", 5), value.split(":", 5)
    if len(patterns) != 6 or len(parts) != 6:
        return None if "${" in text else False
    return all_of(covers(pattern, part, request) for pattern, part in zip(patterns, parts, strict=True))


def _plain(compare: Callable[[str, str], bool]) -> _Test:
    """A test without wildcards: of what the policy says, its variables filled in, and what the request says."""

    def test(text: str, value: str, request: Request) -> bool | None:
        resolved = _resolved(text, request)
        if not isinstance(resolved, str):
            return resolved
        try:
            return compare(resolved, value)
        except ValueError:  # a number, date or address that is none
            return None

    return test


def _moment(text: str) -> datetime:
    if re.fullmatch(r"[0-9]+", text):
        return datetime.fromtimestamp(int(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _within(text: str, value: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(text, strict=False)


_POSITIVE: Final[Mapping[str, _Test]] = {
    "StringEquals": _plain(lambda text, value: value == text),
    "StringEqualsIgnoreCase": _plain(lambda text, value: value.lower() == text.lower()),
    "StringLike": covers,
    "Bool": _plain(lambda text, value: value.lower() == text.lower()),
    "NumericEquals": _plain(lambda text, value: float(value) == float(text)),
    "NumericLessThan": _plain(lambda text, value: float(value) < float(text)),
    "NumericLessThanEquals": _plain(lambda text, value: float(value) <= float(text)),
    "NumericGreaterThan": _plain(lambda text, value: float(value) > float(text)),
    "NumericGreaterThanEquals": _plain(lambda text, value: float(value) >= float(text)),
    "DateEquals": _plain(lambda text, value: _moment(value) == _moment(text)),
    "DateLessThan": _plain(lambda text, value: _moment(value) < _moment(text)),
    "DateLessThanEquals": _plain(lambda text, value: _moment(value) <= _moment(text)),
    "DateGreaterThan": _plain(lambda text, value: _moment(value) > _moment(text)),
    "DateGreaterThanEquals": _plain(lambda text, value: _moment(value) >= _moment(text)),
    "IpAddress": _plain(_within),
    "ArnEquals": _arn_like,  # AWS treats the two alike
    "ArnLike": _arn_like,
}
_NEGATED: Final[Mapping[str, _Test]] = {
    "StringNotEquals": _POSITIVE["StringEquals"],
    "StringNotEqualsIgnoreCase": _POSITIVE["StringEqualsIgnoreCase"],
    "StringNotLike": _POSITIVE["StringLike"],
    "NumericNotEquals": _POSITIVE["NumericEquals"],
    "DateNotEquals": _POSITIVE["DateEquals"],
    "NotIpAddress": _POSITIVE["IpAddress"],
    "ArnNotEquals": _POSITIVE["ArnEquals"],
    "ArnNotLike": _POSITIVE["ArnLike"],
}

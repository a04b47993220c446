"""DynamoDB's expressions, as far as clients of secrets use them: conjunctions of comparisons, SET and REMOVE."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple

from bench.server.refusals import Refused, invalid

Item = Mapping[str, Any]

_TOKEN: Final = re.compile(r"\s*([#:]?[A-Za-z_][\w.-]*|<=|>=|<>|[=<>(),])")
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda one, other: one == other,
    "<>": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
_LEGACY: Final = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">=", "BEGINS_WITH": "begins_with"}


class Clause(NamedTuple):
    """One test of a conjunction: an operator or function, the attribute's token and the operands' tokens."""

    operator: str
    attribute: str
    operands: tuple[str, ...]


class Names(NamedTuple):
    """What a request says its tokens mean."""

    names: Mapping[str, str]
    values: Mapping[str, Any]

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Names:
        """Those of ``request``."""
        return cls(request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {})

    def attribute(self, token: str) -> str:
        """The attribute that ``token`` names."""
        if not token.startswith("#"):
            return token
        if token not in self.names:
            raise invalid(f"An expression attribute name used in the document path is not defined: {token}")
        return self.names[token]

    def value(self, token: str) -> Any:
        """The value that ``token`` stands for."""
        if token not in self.values:
            raise invalid(f"An expression attribute value used in expression is not defined: {token}")
        return self.values[token]


@lru_cache(maxsize=512)
def condition(text: str) -> tuple[Clause, ...]:
    """The clauses of a conjunction. Raises :class:`Refused` for what this server does not understand."""
    tokens = _tokens(text)
    clauses: list[Clause] = []
    depth = 0
    while True:
        while tokens[:1] == ["("]:
            depth += 1
            del tokens[0]
        clauses.append(_clause(tokens, text))
        while depth and tokens[:1] == [")"]:
            depth -= 1
            del tokens[0]
        if not tokens:
            break
        if tokens.pop(0).upper() != "AND":
            raise _strange(text)
    if depth:
        raise _strange(text)
    return tuple(clauses)


def holds(clauses: Sequence[Clause], item: Item | None, names: Names) -> bool:
    """Whether ``item`` (None where there is none) meets every clause."""
    return all(_holds(clause, item or {}, names) for clause in clauses)


def legacy(conditions: Mapping[str, Any]) -> tuple[tuple[Clause, ...], Names]:
    """The conditions of before there were expressions, which old clients still send."""
    clauses: list[Clause] = []
    values: dict[str, Any] = {}
    for attribute, wanted in conditions.items():
        if wanted["ComparisonOperator"] not in _LEGACY:
            raise _strange(wanted["ComparisonOperator"])
        token = f":legacy{len(values)}"
        values[token] = wanted["AttributeValueList"][0]
        clauses.append(Clause(_LEGACY[wanted["ComparisonOperator"]], attribute, (token,)))
    return tuple(clauses), Names({}, values)


@lru_cache(maxsize=512)
def projection(text: str) -> tuple[str, ...]:
    """The tokens of a projection of top-level attributes."""
    return tuple(token for token in _tokens(text) if token != ",")


@lru_cache(maxsize=512)
def update(text: str) -> tuple[tuple[str, str | None], ...]:
    """Pairs of an attribute's token and its new value's, None to remove it."""
    changes: list[tuple[str, str | None]] = []
    tokens = _tokens(text)
    action = ""
    while tokens:
        token = tokens.pop(0)
        if token.upper() in ("SET", "REMOVE"):
            action = token.upper()
        elif action == "SET" and tokens[:1] == ["="] and tokens[1:2]:
            changes.append((token, tokens[1]))
            del tokens[:2]
        elif action == "REMOVE" and token != ",":
            changes.append((token, None))
        elif token != ",":
            raise _strange(text)
    return tuple(changes)


def comparable(value: Mapping[str, Any]) -> Any:
    """A key's or operand's value in an order of its own: strings by their UTF-8, numbers, bytes."""
    if "S" in value:
        return value["S"].encode("utf-8", "surrogatepass")
    if "N" in value:
        return Decimal(value["N"])
    if "B" in value:
        return base64.b64decode(value["B"])
    return value


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _strange(text)
        tokens.append(found[1])
        position = found.end()
    return tokens


def _clause(tokens: list[str], text: str) -> Clause:
    if tokens[1:2] == ["("]:
        end = tokens.index(")") if ")" in tokens else len(tokens)
        function, arguments = tokens[0], [token for token in tokens[2:end] if token != ","]
        if function not in ("begins_with", "attribute_exists", "attribute_not_exists") or not arguments:
            raise _strange(text)
        del tokens[: end + 1]
        return Clause(function, arguments[0], tuple(arguments[1:]))
    if len(tokens) >= 5 and tokens[1].upper() == "BETWEEN":
        attribute, low, high = tokens[0], tokens[2], tokens[4]
        del tokens[:5]
        return Clause("between", attribute, (low, high))
    if len(tokens) < 3 or tokens[1] not in _COMPARE:
        raise _strange(text)
    attribute, operator, operand = tokens[:3]
    del tokens[:3]
    return Clause(operator, attribute, (operand,))


def _holds(clause: Clause, item: Item, names: Names) -> bool:
    found = item.get(names.attribute(clause.attribute))
    if clause.operator == "attribute_exists":
        return found is not None
    if clause.operator == "attribute_not_exists":
        return found is None
    operands = [names.value(operand) for operand in clause.operands]
    if found is None or any(found.keys() != operand.keys() for operand in operands):
        return clause.operator == "<>"
    own, *others = map(comparable, (found, *operands))
    if clause.operator == "begins_with":
        return bool(own.startswith(others[0]))
    if clause.operator == "between":
        return bool(others[0] <= own <= others[1])
    return _COMPARE[clause.operator](own, others[0])


def _strange(text: str) -> Refused:
    return invalid(f"Invalid expression, or one that this server does not know: {text}")

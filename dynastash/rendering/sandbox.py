"""Jinja2, as far as templates may use it: no files, no Python behind the values, no results without bounds."""

from __future__ import annotations

import base64
import shlex
from typing import Any, Final, Literal

from jinja2 import StrictUndefined
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dynastash.template import MAX_OUTPUT

_MAX_BITS: Final = 4096


class Undefined(StrictUndefined):
    """An error wherever it is used; also where a list that it is in is shown."""

    __repr__ = StrictUndefined.__str__


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's own sandbox, with bounds on what single operators make of little."""

    intercepted_binops = frozenset(("*", "**"))

    def __init__(self, newline: Literal["\n", "\r\n"]) -> None:
        super().__init__(
            undefined=Undefined,
            # Configuration files are no HTML: escaping would put &amp; into passwords. Filters quote where it is due.
            autoescape=False,
            keep_trailing_newline=True,
            newline_sequence=newline,
            loader=None,
        )
        del self.globals["lipsum"]
        self.filters["b64encode"] = _b64encode
        self.filters["shellquote"] = _shellquote

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """``*`` and ``**``, unless the result would be out of all proportion."""
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() * max(right, 0) > _MAX_BITS:
                raise OverflowError
        elif operator == "*":
            for sequence, times in ((left, right), (right, left)):
                many = isinstance(times, int) and isinstance(sequence, str | bytes | list | tuple)
                if many and len(sequence) * times > MAX_OUTPUT:
                    raise OverflowError
        return super().call_binop(context, operator, left, right)


def _b64encode(text: object) -> str:
    return base64.b64encode(str(text).encode("utf-8")).decode("ascii")


def _shellquote(text: object) -> str:
    return shlex.quote(str(text))

"""Jinja2 templates: ``secret("NAME")`` and ``secrets("PREFIX")`` within them.

Whatever goes wrong while a template is rendered is told by its place and its kind. The exception's own text is not
shown: a template can bring a value into it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from dynastash.errors import (
    ConfigError,
    DynastashError,
    InvalidArgumentError,
    InvalidNameError,
    InvalidReferenceError,
    NotFoundError,
    TemplateError,
)
from dynastash.frozen import Frozen, field, replace
from dynastash.models import Plaintext, Secret, Stage, check_prefix, check_version, encode
from dynastash.references import Reference, check_field, parse
from dynastash.rendering.base import Renderable, Use
from dynastash.template import MAX_OUTPUT, MAX_TEMPLATE, misplaced, too_large_result

try:
    from jinja2 import TemplateSyntaxError, UndefinedError, nodes
    from jinja2.exceptions import SecurityError

    from dynastash.rendering.sandbox import Sandbox
except ImportError:
    raise ConfigError("Jinja2 is not installed", hint="install it with `pip install 'dynastash[jinja]'`") from None

if TYPE_CHECKING:
    from dynastash.stash.api import Stash

_FILE: Final = "<template>"
_UNDEFINED: Final = re.compile(r"'([A-Za-z_][A-Za-z0-9_]*)' is undefined")
_OURS: Final = ("secret", "secrets")
_ALONE: Final = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class Listed(Frozen):
    """One of the secrets under a prefix, as a template sees it. ``key`` is the name without the prefix."""

    name: str
    key: str
    version: int
    value: str = field(repr=False)


class JinjaTemplate:
    """``data``, UTF-8, with ``variables`` in it. Raises :class:`TemplateError` where it cannot be read."""

    def __init__(self, data: bytes, variables: Mapping[str, str] | None = None) -> None:
        if len(data) > MAX_TEMPLATE:
            raise TemplateError("the template is too large", hint=f"at most {MAX_TEMPLATE >> 20} MiB")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise TemplateError("the template is not UTF-8 text", hint="a plain template takes any bytes") from None
        # Jinja2 writes one kind of line end; a file that uses the other kind throughout keeps it.
        crlf = 0 < data.count(b"\n") == data.count(b"\r\n")
        self._environment = Sandbox("\r\n" if crlf else "\n")
        self._variables = dict(variables or {})
        if taken := sorted(self._variables.keys() & {*_OURS, "environment"}):
            raise InvalidArgumentError(f"{taken[0]} is no variable to be set", hint="choose another name")
        try:
            tree = self._environment.parse(text)
            self._code = self._environment.from_string(text)
        except TemplateSyntaxError as error:
            hint = 'write {{ secret("NAME") }} in a Jinja2 template' if "dynastash:" in text else None
            raise misplaced(str(error.message).rstrip("."), hint, error.lineno) from None
        except Exception as error:  # too deep for the parser, a number too long for Python
            raise TemplateError(f"the template cannot be compiled: {type(error).__name__}") from None
        for node in tree.find_all(_ALONE):
            raise misplaced("a template stands alone: no include, import or extends", None, node.lineno)
        self._names = {node.name for node in tree.find_all(nodes.Name)}
        self._uses: list[Use] = []
        self._prefixes: list[str] = []
        self._open_ended = False
        calls = [call for call in tree.find_all(nodes.Call) if _name_of(call.node) in _OURS]
        for call in calls:
            self._collect(call)
        if sum(_name_of(node) in _OURS for node in tree.find_all(nodes.Name)) > len(calls):
            self._open_ended = True  # handed on, as to a filter

    @property
    def uses(self) -> Sequence[Use]:
        return self._uses

    @property
    def open_ended(self) -> bool:
        return self._open_ended

    def render(self, stash: Stash) -> Plaintext:
        found: dict[Reference, Secret] = {}
        if self._uses:
            found.update(stash.resolve([use.reference for use in self._uses]))
        under = {prefix: stash.get_many(prefix=prefix) for prefix in dict.fromkeys(self._prefixes)}

        def secret(reference: str, **more: Any) -> str:
            encoding = more.pop("encoding", "utf-8")
            wanted = _reference(reference, **more)
            if wanted not in found:
                found.update(stash.resolve([wanted]))
            return _text(found[wanted], encoding)

        def secrets(prefix: str = "") -> list[Listed]:
            if prefix not in under:
                under[prefix] = stash.get_many(prefix=check_prefix(prefix))
            return [
                Listed(name, name.removeprefix(prefix), each.number, _text(each, "utf-8"))
                for name, each in under[prefix].items()
            ]

        return self._run({**self._variables, "environment": stash.environment, "secret": secret, "secrets": secrets})

    def _run(self, names: Mapping[str, object]) -> Plaintext:
        parts: list[bytes] = []
        size = 0
        try:
            for part in self._code.generate(names):
                parts.append(encode(part, "the result"))
                size += len(parts[-1])
                if size > MAX_OUTPUT:
                    raise too_large_result()
            return Plaintext(b"".join(parts))
        except DynastashError as error:
            if not isinstance(error, NotFoundError | InvalidNameError | InvalidArgumentError | InvalidReferenceError):
                raise
            line, said, missing = _line(error), type(error).__name__, isinstance(error, NotFoundError)
        except Exception as error:
            line, said, missing = _line(error), self._said(error), False
        # Out here, where the exception is neither cause nor context: its text may hold a value, or a name made of one.
        if missing:
            raise NotFoundError(
                f"line {line}: what the template asks for here does not exist ({said})",
                hint="what a template makes up is not shown; constant references are, and checked before",
            )
        raise misplaced(said, "mend the expression there", line)

    def _said(self, error: Exception) -> str:
        if isinstance(error, UndefinedError):
            name = _UNDEFINED.fullmatch(str(error))
            if name is not None and name[1] in self._names:  # a variable's, which stands in the template
                return f"{name[1]} is not defined"
            return "something is used that is not defined"
        if isinstance(error, SecurityError):
            return "something is used that templates may not reach"
        if isinstance(error, OverflowError | MemoryError | RecursionError):
            return "a result is out of all proportion"
        return type(error).__name__

    def _collect(self, call: nodes.Call) -> None:
        """Take what a call asks for, if that is known before rendering."""
        try:
            given = [argument.as_const() for argument in call.args]
            named = {pair.key: pair.value.as_const() for pair in call.kwargs}
            constant = call.dyn_args is None and call.dyn_kwargs is None
        except nodes.Impossible:
            constant = False
        if not constant:
            self._open_ended = True
        elif _name_of(call.node) == "secrets":
            self._open_ended = True  # which ones there are is known when they are listed
            prefix = given[0] if given else named.get("prefix", "")
            if isinstance(prefix, str):
                self._prefixes.append(prefix)
        else:
            named.pop("encoding", None)
            try:
                self._uses.append(Use(_reference(*given, **named), call.lineno, None))
            except TypeError:
                raise misplaced(
                    "secret() takes a reference, and version, stage, field, encoding by name", None, call.lineno
                ) from None
            except DynastashError as error:
                raise misplaced(str(error), error.hint, call.lineno) from None


def _name_of(node: nodes.Node) -> str | None:
    return node.name if isinstance(node, nodes.Name) else None


def _reference(
    reference: str, *, version: int | None = None, stage: str | None = None, field: str | None = None
) -> Reference:
    """What ``secret(…)`` asks for: a reference, whose parts may also be given by name."""
    if not isinstance(reference, str):
        raise InvalidReferenceError("secret() takes a text", hint='write secret("app1/db/password")')
    wanted = parse(reference)
    if version is not None and stage is not None:
        raise InvalidArgumentError("a version and a stage were asked for", hint="ask for one of them")
    if version is not None:
        wanted = replace(wanted, version=check_version(version), stage=Stage.CURRENT)
    if stage is not None:
        wanted = replace(wanted, version=None, stage=Stage.named(stage))
    return wanted if field is None else replace(wanted, field=check_field(field))


def _text(secret: Secret, encoding: object) -> str:
    if encoding == "base64":
        return base64.b64encode(secret.value).decode("ascii")
    if encoding != "utf-8":
        raise TemplateError("secret() knows no such encoding", hint="give utf-8 or base64")
    try:
        return secret.text
    except InvalidArgumentError as error:
        message = str(error)
    raise TemplateError(message, hint='write secret("…", encoding="base64"), or use a plain template')


def _line(error: Exception) -> int | None:
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


if TYPE_CHECKING:

    def _conforms(template: JinjaTemplate) -> Renderable:
        return template

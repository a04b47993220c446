"""What a program is to get: from options and files to secrets by variable, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dynastash import dotenv
from dynastash.errors import (
    ConfigError,
    DynastashError,
    InvalidArgumentError,
    InvalidReferenceError,
    PartialError,
    SecretNotFoundError,
    StoreError,
)
from dynastash.frozen import Frozen, field
from dynastash.models import Secret
from dynastash.references import SCHEME, Reference, is_reference, parse
from dynastash.running.variables import check_variable, variable_of

if TYPE_CHECKING:
    from dynastash.stash.api import Stash

_LARGEST_FILE: Final = 4 << 20


class Wanted(Frozen):
    """A reference, the variable that it goes into, and where that was said: ``--secret``, or a file and its line."""

    variable: str
    reference: Reference
    origin: str


class Request(Frozen):
    """What was asked for. ``plain`` are variables of files that are no references."""

    prefixes: tuple[str, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    plain: Mapping[str, str] = field(default_factory=dict, repr=False)
    keep_prefix: bool = False

    def __bool__(self) -> bool:
        """Whether any secret was asked for."""
        return bool(self.prefixes or self.wanted)


class Assigned(Frozen):
    """A secret on its way to a program. ``label`` is how it was named; ``path`` where it goes as a file."""

    variable: str
    secret: Secret
    label: str
    path: str


def request(
    prefixes: Iterable[str], secrets: Iterable[tuple[str, str]], files: Iterable[str], *, keep_prefix: bool = False
) -> Request:
    """What options say: ``secrets`` are pairs of a variable and a reference, ``files`` paths of dotenv files.

    Of several files the later one wins. Anything else that would fill a variable twice is refused. Raises
    :class:`InvalidArgumentError`, :class:`InvalidReferenceError` and :class:`ConfigError`; asks no store.
    """
    wanted: dict[str, Wanted] = {}
    plain: dict[str, str] = {}
    for path in files:
        for entry in _read(path):
            origin = f"{path}, line {entry.line}"
            wanted.pop(entry.name, None)
            plain.pop(entry.name, None)
            if is_reference(entry.value):
                wanted[entry.name] = Wanted(entry.name, _parse(entry.value, origin), origin)
            elif SCHEME in entry.value:
                raise InvalidArgumentError(
                    f"{origin}: {entry.name} has {SCHEME} in the middle of its value",
                    hint="a reference is the whole value; `dynastash render` fills references into other text",
                )
            else:
                plain[entry.name] = entry.value
    from_files = {**dict.fromkeys(plain, "an --env-file"), **{name: each.origin for name, each in wanted.items()}}
    for variable, text in secrets:
        check_variable(variable)
        if variable in from_files:
            raise InvalidArgumentError(
                f"{variable} is in {from_files[variable]}, and --secret names it too", hint="leave out one of the two"
            )
        given = Wanted(variable, _parse(text, f"--secret {variable}"), "--secret")
        if variable in wanted and wanted[variable] != given:
            raise InvalidArgumentError(
                f"{variable} was asked for twice: {wanted[variable].reference} and {given.reference}",
                hint="leave out one of the two",
            )
        wanted[variable] = given
    return Request(tuple(dict.fromkeys(prefixes)), tuple(wanted.values()), plain, keep_prefix)


def collect(stash: Stash, asked: Request, named: Callable[[str, str], str] = variable_of) -> list[Assigned]:
    """Every secret that was asked for, in the order of the variables' names.

    ``named`` gets a secret's name and the prefix to leave out, and gives the variable, or what else stands for one.

    Raises :class:`PartialError` naming each that cannot be had, a prefix that nothing starts with among them, or the
    one failure itself where only one reference was asked for; and :class:`InvalidArgumentError` where two secrets
    would go into one variable. Deleted secrets are not under a prefix, and fail where they are named.
    """
    failures: dict[str, DynastashError] = {}
    found: list[Assigned] = []
    try:
        resolved = stash.resolve(each.reference for each in asked.wanted) if asked.wanted else {}
        found += [
            Assigned(each.variable, resolved[each.reference], str(each.reference), each.variable)
            for each in asked.wanted
        ]
    except PartialError as error:
        failures |= error.failures
    except StoreError:
        raise
    except DynastashError as error:
        if not asked.prefixes:
            raise
        failures[str(asked.wanted[0].reference)] = error
    for prefix in asked.prefixes:
        try:
            under = stash.get_many(prefix=prefix)
        except PartialError as error:
            failures |= error.failures
            continue
        if not under:
            failures[f"{prefix}*"] = _nothing_under(stash, prefix)
        left_out = "" if asked.keep_prefix else prefix
        found += [
            Assigned(named(name, left_out), secret, name, name.removeprefix(left_out).lstrip("/"))
            for name, secret in under.items()
        ]
    if failures:
        raise _partial(failures)
    return _distinct(found, asked)


def _distinct(found: Iterable[Assigned], asked: Request) -> list[Assigned]:
    by_variable: dict[str, Assigned] = {}
    for each in found:
        other = by_variable.setdefault(each.variable, each)
        if each.variable in asked.plain:
            raise InvalidArgumentError(
                f"{each.label} would be the variable {each.variable}, which an --env-file sets too",
                hint=f"take it out of the file, or give the secret another name with --secret NAME={each.label}",
            )
        if other.label != each.label:
            whole = ", or add --keep-prefix" if _parted(other, each, asked) else ""
            raise InvalidArgumentError(
                f"{other.label} and {each.label} would both be {_called(each.variable)}",
                hint=f"name them with --secret NAME={each.label} and a longer prefix{whole}",
            )
    return [by_variable[variable] for variable in sorted(by_variable)]


def _parted(one: Assigned, other: Assigned, asked: Request) -> bool:
    """Whether whole names would part two that share a variable: not where both are below the same prefix."""
    if asked.keep_prefix:
        return False
    named = any(each.variable == one.variable for each in asked.wanted)
    return named or not any(one.label.startswith(each) and other.label.startswith(each) for each in asked.prefixes)


def _called(key: str) -> str:
    return f"the variable {key}" if dotenv.NAME.fullmatch(key) else key


def _partial(failures: Mapping[str, DynastashError]) -> PartialError:
    some = "; ".join(f"{name}: {error}" for name, error in list(failures.items())[:3])
    more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
    only = next(iter(failures.values())).hint if len(failures) == 1 else None
    return PartialError(
        f"{len(failures)} {'secret' if len(failures) == 1 else 'secrets'} could not be had: {some}{more}",
        failures,
        hint=only or "none was given out; mend or leave out what failed",
    )


def _nothing_under(stash: Stash, prefix: str) -> SecretNotFoundError:
    return SecretNotFoundError(
        f"no secret in {stash.environment} starts with {prefix!r}",
        hint="`dynastash list` shows the names; is it another environment's?",
    )


def _parse(text: str, origin: str) -> Reference:
    try:
        return parse(text)
    except InvalidReferenceError as error:
        raise InvalidReferenceError(f"{origin}: {error}", hint=error.hint) from None


def _read(path: str) -> list[dotenv.Entry]:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="check --env-file") from error
    if len(data) > _LARGEST_FILE:
        raise ConfigError(f"{path} is too large for a file of variables", hint="check --env-file")
    text = None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        pass  # it carries the file, and an error raised in here would carry it
    if text is None:
        raise ConfigError(f"{path} is not UTF-8 text", hint="check --env-file")
    try:
        return dotenv.parse(text)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{path}, {error}", hint=error.hint) from None

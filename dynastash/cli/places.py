"""Options that name a place besides the environment, and how it is reached where that is another way."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import click

from dynastash.cli.command import PlaceOption
from dynastash.cli.options import PlainText, Usage
from dynastash.errors import InvalidArgumentError
from dynastash.places import Kind, Place, parse

_F = TypeVar("_F", bound=Callable[..., Any])
_WAYS: Final = {
    "region": ("REGION", "AWS Region"),
    "profile": ("PROFILE", "AWS profile"),
    "role_arn": ("ARN", "IAM role to assume"),
    "endpoint_url": ("URL", "endpoint instead of AWS's own"),
}


def from_place(command: _F) -> _F:
    """``source_way``: the settings of ``--from-region`` and its like that were given."""
    return _ways(command, "from", "source_way", "of the source")


def to_place(command: _F) -> _F:
    """``target_way``: the settings of ``--to-region`` and its like that were given."""
    return _ways(command, "to", "target_way", "of the target")


def place(text: str, kinds: Sequence[Kind] = tuple(Kind)) -> Place:
    """The place that an option names, or a usage error."""
    try:
        return parse(text, kinds)
    except InvalidArgumentError as error:
        raise Usage(str(error), error.hint or "") from None


def is_place(text: str | None) -> bool:
    """Whether ``text`` begins as a place does, and not as a file's path would be meant to."""
    return text is not None and text.partition(":")[0] in tuple(Kind) and ":" in text


def _ways(command: _F, direction: str, parameter: str, whose: str) -> _F:
    @functools.wraps(command)
    def invoke(*args: Any, **given: Any) -> Any:
        way: Mapping[str, str] = {
            setting: text for setting in _WAYS if (text := given.pop(f"{direction}_{setting}")) is not None
        }
        return command(*args, **given, **{parameter: way})

    wrapped: Any = invoke
    for setting, (metavar, meaning) in reversed(_WAYS.items()):
        wrapped = click.option(
            f"--{direction}-{setting.replace('_', '-')}",
            f"{direction}_{setting}",
            cls=PlaceOption,
            type=PlainText(),
            metavar=metavar,
            help=f"{meaning[:1].upper()}{meaning[1:]} {whose}, where it is another than the environment's.",
        )(wrapped)
    return wrapped  # type: ignore[no-any-return]

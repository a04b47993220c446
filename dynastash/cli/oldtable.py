"""Options that say what a credstash table does not say itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dynastash.cli.command import PlaceOption
from dynastash.cli.options import Pair, PlainText, Usage
from dynastash.cli.output import quoted

if TYPE_CHECKING:
    from dynastash.credstash.terms import Terms
    from dynastash.places import Kind

_F = TypeVar("_F", bound=Callable[..., Any])
_NONE = "-"


def opened_with(command: _F) -> _F:
    """``terms``, a function of the place's kind (None: a file) that gives its terms: what its items are opened with."""
    option = functools.partial(click.option, cls=PlaceOption)

    @functools.wraps(command)
    def invoke(
        *args: Any,
        context: tuple[tuple[str, str], ...],
        context_of: tuple[tuple[str, str], ...],
        from_key: tuple[str, ...],
        from_kms_region: str | None,
        require_binding: bool,
        **given: Any,
    ) -> Any:
        def terms(kind: Kind | None) -> Terms | None:
            return _terms(kind, context, context_of, from_key, from_kms_region, require_binding)

        return command(*args, terms=terms, **given)

    wrapped: Any = invoke
    for each in (
        option(
            "--require-binding",
            is_flag=True,
            help="Of a credstash table, take only what dynastash has bound to its name and version.",
        ),
        option(
            "--from-kms-region",
            type=PlainText(),
            metavar="REGION",
            help="AWS Region of a credstash table's keys, where it is another than the table's.",
        ),
        option(
            "--from-key",
            type=PlainText(),
            multiple=True,
            metavar="KEY",
            help="KMS key that a credstash table's items may be wrapped under; may be repeated, * for any.  "
            "[default: alias/credstash]",
        ),
        *_contexts(),
    ):
        wrapped = each(wrapped)
    return wrapped  # type: ignore[no-any-return]


def published_with(command: _F) -> _F:
    """``terms`` and ``item_key``: what the items of a table are opened and sealed with."""
    option = functools.partial(click.option, cls=PlaceOption)

    @functools.wraps(command)
    def invoke(
        *args: Any,
        context: tuple[tuple[str, str], ...],
        context_of: tuple[tuple[str, str], ...],
        to_key: tuple[str, ...],
        to_kms_region: str | None,
        **given: Any,
    ) -> Any:
        from dynastash.credstash.contexts import Contexts
        from dynastash.credstash.keys import DEFAULT_KEY
        from dynastash.credstash.terms import Terms

        keys = to_key or (DEFAULT_KEY,)
        contexts = Contexts(dict(context), contexts_of(context_of))
        terms = Terms(contexts=contexts, trusted=keys, kms_region=to_kms_region)
        return command(*args, terms=terms, item_key=keys[0], **given)

    wrapped: Any = invoke
    for each in (
        option(
            "--to-kms-region",
            type=PlainText(),
            metavar="REGION",
            help="AWS Region of the table's keys, where it is another than the table's.",
        ),
        option(
            "--to-key",
            type=PlainText(),
            multiple=True,
            metavar="KEY",
            help="KMS key of the table's items; of several, the first is for new ones.  [default: alias/credstash]",
        ),
        *_contexts(),
    ):
        wrapped = each(wrapped)
    return wrapped  # type: ignore[no-any-return]


def _contexts() -> Iterable[Callable[[Any], Any]]:
    yield click.option(
        "--context-of",
        cls=PlaceOption,
        type=(PlainText(), PlainText()),
        multiple=True,
        metavar="NAME KEY=VALUE",
        help="The same for one name, NAME@VERSION or PREFIX*, instead of --context; - for none.",
    )
    yield click.option(
        "--context",
        cls=PlaceOption,
        type=Pair(),
        multiple=True,
        help="Encryption context of a credstash table's values; may be repeated.",
    )


def _terms(
    kind: Kind | None,
    context: Iterable[tuple[str, str]],
    context_of: Iterable[tuple[str, str]],
    keys: tuple[str, ...],
    kms_region: str | None,
    require_binding: bool,
) -> Terms | None:
    from dynastash.places import Kind

    if kind != Kind.CREDSTASH:
        if context or context_of or keys or kms_region or require_binding:
            raise Usage(
                "--context, --context-of, --from-key, --from-kms-region and --require-binding go with "
                "--from credstash:TABLE",
                "leave them out: other places know what their values were encrypted with",
            )
        return None
    from dynastash.credstash.contexts import Contexts
    from dynastash.credstash.keys import ANY_KEY, DEFAULT_KEY
    from dynastash.credstash.terms import Terms

    return Terms(
        contexts=Contexts(dict(context), contexts_of(context_of)),
        trusted=ANY_KEY if "*" in keys else keys or (DEFAULT_KEY,),
        kms_region=kms_region,
        require_binding=require_binding,
    )


def contexts_of(given: Iterable[tuple[str, str]]) -> dict[str, dict[str, str]]:
    """The context of each name in ``given``, pairs of a name and one pair of its context as it was typed."""
    found: dict[str, dict[str, str]] = {}
    for name, text in given:
        pairs = found.setdefault(name, {})
        key, equals, value = text.partition("=")
        if key and equals and value:
            pairs[key] = value
        elif text != _NONE:
            raise Usage(f"{quoted(text)} is no pair of a context", "write --context-of NAME KEY=VALUE, or - for none")
    return found

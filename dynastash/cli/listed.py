"""What `dynastash list` shows, whoever read its command line."""

from __future__ import annotations

from collections.abc import Callable

from dynastash.cli.output import emit, emit_table, info_data, say, shortened
from dynastash.cli.settings import Settings
from dynastash.models import SecretInfo, State

OPTIONAL = ("comment", "expires (UTC)", "tags")


def show(
    settings: Settings,
    prefix: str,
    *,
    everything: bool = False,
    verified: bool = False,
    only: Callable[[SecretInfo], bool] | None = None,
    which: str = "",
) -> int:
    """Show the secrets whose names start with ``prefix`` and that ``only`` lets through; how many these are.

    ``everything`` has deleted and destroyed secrets too. ``which`` says in words what ``only`` asks for.
    """
    stash = settings.stash()
    found = [
        info
        for info in stash.list(prefix, verified=verified)
        if (everything or info.state is State.ACTIVE) and (only is None or only(info))
    ]
    if not found:
        asked = [*([f"start with {prefix}"] if prefix else []), *([which] if which else [])]
        say(f"no secrets {' and '.join(asked)}{' ' if asked else ''}in {stash.environment} ({stash.where})")
    if settings.output != "table":
        emit([info_data(info) for info in found], settings.output)
    elif found:
        emit_table([_row(info, everything) for info in found], _headers(everything), OPTIONAL)
    return len(found)


def _headers(everything: bool) -> tuple[str, ...]:
    headers = ("name", "version", "updated (UTC)", "by", "comment", "expires (UTC)", "tags")
    return (*headers, "state") if everything else headers


def _row(info: SecretInfo, everything: bool) -> list[object]:
    pending = f"(pending {info.pending})" if info.pending else ""
    number = "" if info.current is None else info.current
    tags = " ".join(f"{key}={text}" for key, text in sorted(info.tags.items()))
    row = [
        info.name,
        f"{number} {pending}".strip(),
        info.updated_at,
        info.updated_by,
        shortened(info.comment),
        info.expires_at,
        shortened(tags),
    ]
    return [*row, info.state] if everything else row

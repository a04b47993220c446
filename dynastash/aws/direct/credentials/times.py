"""The times that credentials come with."""

from __future__ import annotations

from datetime import datetime

from dynastash.aws.direct.handover import HandOver


def seconds(text: object) -> float:
    """Seconds since the epoch of an ISO 8601 time with its offset. Raises :class:`HandOver` for anything else."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise HandOver("the credentials' time of expiry is written in another way")
    return moment.timestamp()

"""Answers that DynamoDB gives in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from dynastash import parallel


def pages(
    ask: Callable[[Mapping[str, Any]], dict[str, Any]], request: Mapping[str, Any], malformed: Callable[[], Exception]
) -> Iterator[dict[str, Any]]:
    """Each page that ``ask`` gives for ``request``; the next one is on its way while one is being used.

    Raises what ``malformed`` makes where an answer does not lead on.
    """
    page = ask(request)
    start: Mapping[str, Any] | None = None
    while True:
        following = page.get("LastEvaluatedKey")
        coming: parallel.Begun[dict[str, Any]] | None = None
        if following:
            if not isinstance(following, Mapping) or following == start:
                raise malformed()
            start = following
            coming = parallel.Begun(partial(ask, {**request, "ExclusiveStartKey": start}))
        yield page
        if coming is None:
            return
        page = coming.result()

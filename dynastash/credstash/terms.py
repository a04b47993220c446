"""On what terms the items of a table are opened: what the table does not say itself."""

from __future__ import annotations

from collections.abc import Sequence

from dynastash.credstash.contexts import Contexts
from dynastash.credstash.keys import DEFAULT_KEY
from dynastash.frozen import Frozen, field


class Terms(Frozen, kw_only=True):
    """``contexts`` are what the items were put with, and ``trusted`` the KMS keys that may have wrapped theirs.

    ``kms_region`` is where these keys are, if not where the table is. With ``require_binding``, only what dynastash has
    bound to its name and version counts.
    """

    contexts: Contexts = field(default_factory=Contexts)
    trusted: Sequence[str] = (DEFAULT_KEY,)
    kms_region: str | None = None
    require_binding: bool = False

"""Who calls: the name under which versions are written."""

from __future__ import annotations

from dynastash.aws.base import CallError, Operation, Transport
from dynastash.aws.errors import one_line
from dynastash.errors import ConfigError


class Identity:
    """The caller's ARN; where STS cannot say, ``access-key/`` and the key's id. Asked once.

    Raises :class:`~dynastash.errors.CredentialsError` only where there are no credentials at all.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: str | None = None

    def __call__(self) -> str:
        if self._known is None:
            try:
                arn = self._transport.call(Operation.GET_CALLER_IDENTITY, {}).get("Arn")
            except (CallError, ConfigError):  # no way to STS from here, or credentials that it does not know
                arn = None
            known = isinstance(arn, str) and arn
            self._known = one_line(arn) if known else f"access-key/{self._transport.access_key()}"
        return self._known

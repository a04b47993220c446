"""Credentials that boto3 finds, for requests that go without it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from dynastash.aws.base import AwsSettings
from dynastash.aws.direct.signing import Credentials

if TYPE_CHECKING:
    import boto3

    from dynastash.aws.direct.credentials.base import CredentialSource


class BotoCredentials:
    """boto3's own chain for ``settings``, with its patience, its fallbacks and its errors."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None

    def get(self) -> Credentials:
        """What boto3 gives, which renews it. Raises :class:`~dynastash.errors.ConfigError` as its transport does."""
        from dynastash.aws.boto import credentials_of

        found = credentials_of(self._opened())
        return Credentials(str(found.access_key), str(found.secret_key), found.token)

    def account(self) -> str | None:
        """None: the ordinary endpoint serves every account."""
        return None

    def _opened(self) -> boto3.Session:
        from dynastash.aws.boto import make_session

        with self._lock:
            if self._session is None:
                self._session = make_session(self._settings)
            return self._session


if TYPE_CHECKING:

    def _conforms(source: BotoCredentials) -> CredentialSource:
        return source

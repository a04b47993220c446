"""Credentials that botocore finds, for requests that go without it."""

from __future__ import annotations

import os
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any

from dynastash.aws.base import AwsSettings, Operation
from dynastash.aws.botoerrors import call_error, credentials_failure
from dynastash.aws.direct.signing import Credentials
from dynastash.aws.errors import invalid_configuration

if TYPE_CHECKING:
    from botocore.session import Session

    from dynastash.aws.direct.credentials.base import CredentialSource


class BotoCredentials:
    """boto3's own chain for ``settings``, with its patience, its fallbacks and its errors.

    botocore is loaded when credentials are first needed, and keeps them fresh from then on.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._process = os.getpid()
        self._lock = allocate_lock()
        self._session: Session | None = None
        self._found: Any = None
        self._last = Credentials("", "")

    def get(self) -> Credentials:
        """What botocore gives, which renews it. One object for as long as it is the same.

        Raises :class:`~dynastash.errors.ConfigError` where there are none, and :class:`CallError` where those who give
        them cannot be reached or ask for patience, as boto3's transport does.
        """
        frozen = self._frozen()
        found = Credentials(str(frozen.access_key), str(frozen.secret_key), frozen.token)
        last = self._last
        if found == last:  # whoever signs keeps what it made of them
            return last
        self._last = found
        return found

    def account(self) -> str | None:
        """The account that came with the credentials. Raises as :meth:`get` does."""
        account: str | None = getattr(self._frozen(), "account_id", None)
        if not account:
            return None
        if not (account.isascii() and account.replace("-", "a").isalnum() and account.strip("-") == account):
            raise invalid_configuration("credentials-sourced account ID parameter is invalid")
        return account

    def _frozen(self) -> Any:
        found = self._found or self._look()
        try:
            return found.get_frozen_credentials()
        except Exception as error:
            translated = call_error(Operation.GET_CALLER_IDENTITY, error, self._profile())
            raise translated from None if translated is error else error

    def _look(self) -> Any:
        """The credentials that botocore finds, once: a failure is not kept."""
        if self._process != os.getpid():  # forked: the lock may be held by a thread that exists in the parent only
            self._process = os.getpid()
            self._lock = allocate_lock()
        with self._lock:
            if self._found is None:
                try:
                    self._found = self._search()
                except Exception as error:
                    translated = credentials_failure(error, self._profile())
                    raise translated from None if translated is error else error
            return self._found

    def _search(self) -> Any:
        from botocore.exceptions import NoCredentialsError

        from dynastash.aws.botosession import make_core

        if self._session is None:
            self._session = make_core(self._settings)
        found = self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        return found

    def _profile(self) -> str | None:
        """The profile that botocore looks in, as far as it is known."""
        return self._settings.profile if self._session is None else self._session.profile


if TYPE_CHECKING:

    def _conforms(source: BotoCredentials) -> CredentialSource:
        return source

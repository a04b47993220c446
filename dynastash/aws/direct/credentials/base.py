"""What a source of credentials offers, and the source that never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dynastash.aws.direct.handover import HandOver
from dynastash.aws.direct.signing import Credentials


class CredentialSource(Protocol):
    """Gives credentials that are good now. Safe to use from several threads."""

    def get(self) -> Credentials:
        """The credentials, renewed where they were about to expire.

        Raises :class:`~dynastash.errors.ConfigError` where there are none to be had, in boto3's own words, and
        :class:`~dynastash.aws.base.CallError`, of whatever operation, where asking again may help.
        """
        ...

    def account(self) -> str | None:
        """The account that the credentials belong to, where their source says so. May have to get them first."""
        ...


class Lease:
    """Credentials for a while: ``expires`` in seconds since the epoch, None for never.

    Raises :class:`HandOver` for an ``account`` that is no account's number: it is to become a part of a host's name.
    """

    __slots__ = ("account", "credentials", "expires")

    def __init__(self, credentials: Credentials, expires: float | None = None, account: str | None = None) -> None:
        if account is not None and not (len(account) == 12 and account.isascii() and account.isdigit()):
            raise HandOver("the account of the credentials is not a number of twelve digits")
        self.credentials = credentials
        self.expires = expires
        self.account = account


class Fixed:
    """Credentials that stay as they are."""

    __slots__ = ("_lease",)

    def __init__(self, credentials: Credentials, account: str | None = None) -> None:
        self._lease = Lease(credentials, account=account)

    def get(self) -> Credentials:
        """The credentials."""
        return self._lease.credentials

    def account(self) -> str | None:
        """The account as it was configured."""
        return self._lease.account


if TYPE_CHECKING:

    def _conforms(source: Fixed) -> CredentialSource:
        return source

"""What the direct transport leaves to boto3."""

from __future__ import annotations


class HandOver(Exception):
    """Something that boto3 knows how to do, or how to complain of, and this package does not.

    ``reason`` is a short phrase. ``fault`` is set where boto3 is going to complain: of credentials that are missing,
    of a file that cannot be read; no other way of sending requests would help.
    """

    def __init__(self, reason: str, *, fault: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault


class CredentialsHandOver(HandOver):
    """Credentials that boto3 has to find; with them, the requests themselves can go without it.

    ``reason`` says what kind they are.
    """

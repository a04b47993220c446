"""What a service answers instead of doing as it was told."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """An error in the JSON protocol: HTTP 400, a code, a message and further members."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.document = {"__type": f"com.amazonaws#{code}", "message": message, "Message": message, **more}


def invalid(message: str) -> Refused:
    """The refusal of a request that makes no sense."""
    return Refused("ValidationException", message)

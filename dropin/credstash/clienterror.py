"""An error of the table's as botocore's ``ClientError``, made only where something has failed: botocore is heavy."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

from dynastash.errors import ConflictError, DynastashError

_CONDITION_FAILED: Final = "ConditionalCheckFailedException"


class TableError(DynastashError, ClientError):
    """The table refused or failed. ``response`` has the shape of botocore's errors."""

    def __init__(self, message: str, *, hint: str | None, code: str) -> None:
        Exception.__init__(self, message)  # botocore's own takes the answer, and makes a text of it
        self.hint = hint
        self.response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}}
        self.operation_name = ""


def client_error(error: DynastashError) -> TableError:
    """``error`` with its AWS code; one that lost to another writer has the code of a condition that failed."""
    conflict = isinstance(error, ConflictError)
    code = _CONDITION_FAILED if conflict else getattr(error, "code", None) or "Unknown"
    return TableError(str(error), hint=error.hint, code=code)

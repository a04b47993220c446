"""Exit codes, in one table.

==== ===========================================================================================================
code meaning
==== ===========================================================================================================
0    done
1    any other error
2    usage or configuration: an option, a name, a size, a missing region, a template
3    not found: a secret, a version, a stage, a field, a table
4    denied: by IAM, by the key's policy, by the file system, or for want of credentials
5    integrity: a record is not what dynastash wrote, or is wrapped under a stranger's key
6    conflict: the version is not the expected one, a rotation is pending, the secret is deleted, destroyed or expired
7    unavailable: throttled, no network, a disabled key, a busy or full disk
8    partial: some secrets could not be had, and none was returned; or could not be moved, and the others were
126  `run`: the command is there and cannot be started
127  `run`: there is no such command
130  interrupted
141  the reader of our output went away
==== ===========================================================================================================
"""

from __future__ import annotations

from typing import Final

from dynastash import errors

OK: Final = 0
OTHER: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
DENIED: Final = 4
INTEGRITY: Final = 5
CONFLICT: Final = 6
UNAVAILABLE: Final = 7
PARTIAL: Final = 8
NOT_EXECUTABLE: Final = 126
NO_COMMAND: Final = 127
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

_CODES: Final[dict[type[errors.DynastashError], int]] = {
    errors.DynastashError: OTHER,
    errors.ConfigError: USAGE,
    errors.CredentialsError: DENIED,
    errors.InvalidNameError: USAGE,
    errors.InvalidReferenceError: USAGE,
    errors.InvalidArgumentError: USAGE,
    errors.ValueTooLargeError: USAGE,
    errors.TemplateError: USAGE,
    errors.NotFoundError: NOT_FOUND,
    errors.ConflictError: CONFLICT,
    errors.ExpiredError: CONFLICT,
    errors.EnvelopeError: INTEGRITY,
    errors.KeyAccessDeniedError: DENIED,
    errors.KeyUnavailableError: UNAVAILABLE,
    errors.ContextMismatchError: INTEGRITY,
    errors.UntrustedKeyError: INTEGRITY,
    errors.StoreNotFoundError: NOT_FOUND,
    errors.StoreAccessDeniedError: DENIED,
    errors.StoreUnavailableError: UNAVAILABLE,
    errors.PartialError: PARTIAL,
    errors.CommandError: NOT_EXECUTABLE,
    errors.CommandNotFoundError: NO_COMMAND,
    errors.ServiceAccessDeniedError: DENIED,
    errors.ServiceUnavailableError: UNAVAILABLE,
    errors.TransferAccessDeniedError: DENIED,
    errors.TransferUnavailableError: UNAVAILABLE,
    errors.DeployAccessDeniedError: DENIED,
    errors.DeployUnavailableError: UNAVAILABLE,
}


def code_of(error: errors.DynastashError) -> int:
    """The exit code for ``error``: that of the nearest class in the table."""
    return next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)

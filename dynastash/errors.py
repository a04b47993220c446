"""Every exception that dynastash raises on purpose.

::

    DynastashError                 .hint: one sentence of advice, or None
    ├─ ConfigError
    │  └─ CredentialsError         no usable AWS credentials: missing, expired, incomplete
    ├─ InvalidNameError            (also ValueError)
    ├─ InvalidReferenceError       (also ValueError) not NAME[@VERSION][#FIELD]
    ├─ InvalidArgumentError        (also ValueError) an argument outside its documented range
    ├─ ValueTooLargeError          (also ValueError)
    ├─ NotFoundError               (also LookupError)
    │  ├─ SecretNotFoundError
    │  ├─ VersionNotFoundError     a version or a stage
    │  └─ FieldNotFoundError       the value is not JSON, or has no such field, or one without text
    ├─ ConflictError               lost the conditional write; a rotation is pending
    │  ├─ SecretDeletedError       undelete first
    │  └─ SecretDestroyedError     recreate on purpose
    ├─ ExpiredError
    ├─ EnvelopeError               what the store returned is not what dynastash wrote
    │  ├─ FormatError
    │  ├─ UnsupportedFormatError
    │  ├─ IntegrityError
    │  └─ RollbackError
    ├─ KeyProviderError
    │  ├─ KeyAccessDeniedError
    │  ├─ KeyUnavailableError      disabled, pending deletion, missing
    │  │  └─ KeyUnreachableError   throttled, out of reach, not answering: it passes
    │  ├─ ContextMismatchError     the wrapped key belongs to another record, or was altered
    │  └─ UntrustedKeyError        wrapped under a key that this environment does not trust
    ├─ StoreError                  .code: the AWS error code, or None
    │  ├─ StoreNotFoundError
    │  ├─ StoreAccessDeniedError
    │  └─ StoreUnavailableError    throttled, out of reach, busy, full
    ├─ PartialError                .failures: name → error; nothing was returned
    ├─ RotationError               .step
    ├─ CommandError                a program that cannot be started
    │  └─ CommandNotFoundError
    ├─ ServiceError                an AWS service beside the store and the key; .code: the AWS error code
    │  ├─ ServiceAccessDeniedError
    │  └─ ServiceUnavailableError  throttled or out of reach
    ├─ TransferError
    │  ├─ TransferAccessDeniedError
    │  └─ TransferUnavailableError  a full disk
    ├─ TemplateError               .line, .column: where in the template, or None
    ├─ PolicyError                 a policy document cannot be read
    └─ DeployError
       ├─ DeployAccessDeniedError
       └─ DeployUnavailableError

Messages are lower case, end without a full stop and never contain a value. Advice goes into ``hint``.
"""

from __future__ import annotations

from collections.abc import Mapping


class DynastashError(Exception):
    """Root of the tree.

    ``hint`` is one sentence that says what to do next, or None where the message already does.
    """

    hint: str | None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Errors come out of another process whole, whatever their constructors require."""
        return _restored, (type(self), self.args, self.__dict__)


class ConfigError(DynastashError):
    """The configuration is missing something, contradicts itself or cannot be read."""


class CredentialsError(ConfigError):
    """AWS credentials are missing, incomplete or expired."""


class InvalidNameError(DynastashError, ValueError):
    """A secret's or an environment's name is outside its alphabet."""


class InvalidReferenceError(DynastashError, ValueError):
    """A text is not a reference to a secret (:mod:`dynastash.references`)."""


class InvalidArgumentError(DynastashError, ValueError):
    """An argument is outside the range that its documentation gives."""


class ValueTooLargeError(DynastashError, ValueError):
    """A value or one of its attributes exceeds the limit of the record format."""


class NotFoundError(DynastashError, LookupError):
    """Something that was asked for by name does not exist."""


class SecretNotFoundError(NotFoundError):
    """No secret has this name."""


class VersionNotFoundError(NotFoundError):
    """The secret exists; the version or the stage asked for does not."""


class FieldNotFoundError(NotFoundError):
    """The secret exists; its value is not JSON, or has no such field, or the field has no text."""


class ConflictError(DynastashError):
    """The secret is not in the state that the operation requires; nothing was written."""


class SecretDeletedError(ConflictError):
    """The secret, or the version asked for, is deleted and can still be undeleted."""


class SecretDestroyedError(ConflictError):
    """The secret was destroyed for good."""


class ExpiredError(DynastashError):
    """The version's ``expires_at`` has passed."""


class EnvelopeError(DynastashError):
    """A record is not what dynastash wrote."""


class FormatError(EnvelopeError):
    """A record's shape is wrong: a type, a length, a missing or impossible attribute."""


class UnsupportedFormatError(EnvelopeError):
    """A record of a format or suite that this release does not know."""


class IntegrityError(EnvelopeError):
    """A record or a secret's head fails authentication."""


class RollbackError(EnvelopeError):
    """The store shows an earlier state of a secret than this process has already seen."""


class KeyProviderError(DynastashError):
    """The key provider refused or failed.

    ``code`` is the provider's own error code, where there is one.
    """

    code: str | None

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class KeyAccessDeniedError(KeyProviderError):
    """The caller may not use the key for this record."""


class KeyUnavailableError(KeyProviderError):
    """The key cannot be used now: disabled, pending deletion, missing, throttled, or out of reach."""


class KeyUnreachableError(KeyUnavailableError):
    """The key provider is throttled, out of reach or does not answer: nothing was decided about the key."""


class ContextMismatchError(KeyProviderError):
    """The wrapped key does not belong to this record: its encryption context differs, or it was altered."""


class UntrustedKeyError(KeyProviderError):
    """The data key is wrapped under a key that this environment does not trust."""


class StoreError(DynastashError):
    """The store refused or failed.

    ``code`` is the AWS (or SQLite) error code, where there is one.
    """

    code: str | None

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class StoreNotFoundError(StoreError):
    """The table does not exist, or is not a table of dynastash's shape."""


class StoreAccessDeniedError(StoreError):
    """The caller may not do this on the table or file."""


class StoreUnavailableError(StoreError):
    """The store is throttled, busy, full or out of reach."""


class PartialError(DynastashError):
    """Some of the secrets asked for could not be had; none was returned.

    ``failures`` maps each failing name to its error.
    """

    failures: Mapping[str, DynastashError]

    def __init__(self, message: str, failures: Mapping[str, DynastashError], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.failures = dict(failures)


class RotationError(DynastashError):
    """A rotation stopped; the current version is still current.

    ``step`` is ``create``, ``set``, ``test`` or ``finish``.
    """

    step: str

    def __init__(self, message: str, *, step: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.step = step


class ServiceError(DynastashError):
    """An AWS service beside the store and the key provider refused or failed: IAM, CloudTrail, STS …

    ``code`` is the AWS error code and ``action`` the call as IAM names it (``iam:GetRole``), where there is one.
    """

    code: str | None
    action: str | None

    def __init__(
        self, message: str, *, hint: str | None = None, code: str | None = None, action: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.action = action


class ServiceAccessDeniedError(ServiceError):
    """The caller may not call this operation."""


class ServiceUnavailableError(ServiceError):
    """The service is throttled or out of reach."""


class CommandError(DynastashError):
    """A program that was to be run is there and cannot be started."""


class CommandNotFoundError(CommandError):
    """There is no program of this name."""


class TransferError(DynastashError):
    """A file of secrets cannot be read, or not be carried over as a whole."""


class TransferAccessDeniedError(TransferError):
    """The file system does not let the file be read or written."""


class TransferUnavailableError(TransferError):
    """There is no room for the file now."""


class TemplateError(DynastashError):
    """A template cannot be read, or not be rendered. ``line`` and ``column`` count from 1; None where unknown."""

    line: int | None
    column: int | None

    def __init__(
        self, message: str, *, hint: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


class PolicyError(DynastashError):
    """A policy document is none, or not one that can be understood."""


class DeployError(DynastashError):
    """A stack could not be created or updated."""


class DeployAccessDeniedError(DeployError):
    """The caller may not do this to the stack."""


class DeployUnavailableError(DeployError):
    """CloudFormation is out of reach."""


def _restored(kind: type[DynastashError], args: tuple[object, ...], attributes: dict[str, object]) -> DynastashError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error

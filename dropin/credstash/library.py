"""credstash's functions, with its names and parameters.

They print nothing and end nothing. Errors are :class:`~credstash.errors.KmsError`,
:class:`~credstash.errors.IntegrityError`, :class:`~credstash.errors.ItemNotFound`, an error that is botocore's
``ClientError`` too, or another :class:`~dynastash.errors.DynastashError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from credstash.access import KEY, TABLE, Access, open_store
from credstash.errors import told
from credstash.sessions import last_session, session_of
from credstash.store import Entry
from credstash.text import WILDCARD, fits
from dynastash.errors import DynastashError, InvalidArgumentError, PartialError
from dynastash.models import Plaintext, encode

if TYPE_CHECKING:
    import boto3

    from credstash.store import Store

_CREDENTIALS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "profile_name")


def getSecret(  # noqa: N802
    name: str,
    version: str | int = "",
    region: str | None = None,
    table: str = TABLE,
    context: Mapping[str, str] | None = None,
    dynamodb: Any = None,
    kms: Any = None,
    kms_region: str | None = None,
    **kwargs: str | None,
) -> str | bytes:
    """The value of ``name``: text, or bytes where it is not UTF-8. ``version`` is ``""`` for the newest.

    ``table`` is an old table or an environment of dynastash. ``kwargs`` are ``profile_name``, ``aws_access_key_id``,
    ``aws_secret_access_key`` and ``aws_session_token``. Raises :class:`~credstash.errors.ItemNotFound`.
    """
    with _told():
        store = _open(table, region, kms_region, None, kwargs, dynamodb=dynamodb, kms=kms)
        return _shown(store.get(name, str(version), context or {}))


def putSecret(  # noqa: N802
    name: str,
    secret: str | bytes,
    version: str | int = "",
    kms_key: str = KEY,
    region: str | None = None,
    table: str = TABLE,
    context: Mapping[str, str] | None = None,
    digest: str = "SHA256",
    comment: str = "",
    kms: Any = None,
    dynamodb: Any = None,
    kms_region: str | None = None,
    **kwargs: str | None,
) -> dict[str, Any]:
    """Store ``secret`` as ``version``, by default 0. The result has the version under ``Version``.

    Raises an error that is a ``ClientError`` with the code ``ConditionalCheckFailedException`` where that version is
    there already.
    """
    with _told():
        store = _open(table, region, kms_region, None, kwargs, kms_key=kms_key, dynamodb=dynamodb, kms=kms)
        return _stored(store, name, secret, str(version) or "0", context, digest, comment)


def putSecretAutoversion(  # noqa: N802
    name: str,
    secret: str | bytes,
    kms_key: str = KEY,
    region: str | None = None,
    table: str = TABLE,
    context: Mapping[str, str] | None = None,
    digest: str = "SHA256",
    comment: str = "",
    kms_region: str | None = None,
    **kwargs: str | None,
) -> dict[str, Any]:
    """Store ``secret`` as the next version, whoever else stores at the same moment. Result as of :func:`putSecret`."""
    with _told():
        store = _open(table, region, kms_region, None, kwargs, kms_key=kms_key)
        return _stored(store, name, secret, None, context, digest, comment)


def getAllSecrets(  # noqa: N802
    version: str | int = "",
    region: str | None = None,
    table: str = TABLE,
    context: Mapping[str, str] | None = None,
    credential: str | None = None,
    session: boto3.Session | None = None,
    kms_region: str | None = None,
    **kwargs: str | None,
) -> dict[str, str | bytes]:
    """The values of all secrets, or of those whose names fit ``credential``, in which ``*`` stands for any text.

    All or nothing. Where a single one cannot be had, its own error is raised; where several cannot,
    :class:`~dynastash.errors.PartialError`.
    """
    pattern = credential or WILDCARD
    with _told():
        store = _open(table, region, kms_region, session, kwargs)
        found = store.get_all(lambda name: fits(pattern, name), str(version), context or {})
        return {name: _shown(value) for name, value in found.items()}


def listSecrets(  # noqa: N802
    region: str | None = None, table: str = TABLE, session: boto3.Session | None = None, **kwargs: str | None
) -> list[dict[str, str]]:
    """``name``, ``version`` and, where there is one, ``comment`` of every version of every secret, sorted."""
    with _told():
        return [
            {"name": one.name, "version": one.version, **({"comment": one.comment} if one.comment else {})}
            for one in _open(table, region, None, session, kwargs).listed()
        ]


def deleteSecrets(  # noqa: N802
    name: str, region: str | None = None, table: str = TABLE, **kwargs: str | None
) -> None:
    """Delete every version of ``name``; nothing where there is none."""
    with _told():
        _open(table, region, None, None, kwargs).delete(name)


def getHighestVersion(  # noqa: N802
    name: str, region: str | None = None, table: str = TABLE, **kwargs: str | None
) -> str | int:
    """The newest version of ``name`` as it is stored, with zeros in front; 0 where there is none."""
    with _told():
        return _open(table, region, None, None, kwargs).highest(name) or 0


def createDdbTable(  # noqa: N802
    region: str | None = None,
    table: str = TABLE,
    tags: list[tuple[str, str]] | list[list[str]] | None = None,
    **kwargs: str | None,
) -> None:
    """Make an old table, and wait until it is there. What is there already stays as it is."""
    from credstash.create import create

    with _told():
        create(table, _access(region, None, None, kwargs), dict(tags or []))


def _open(
    table: str,
    region: str | None,
    kms_region: str | None,
    session: boto3.Session | None,
    credentials: Mapping[str, str | None],
    *,
    kms_key: str | None = None,
    dynamodb: Any = None,
    kms: Any = None,
) -> Store:
    access = _access(region, kms_region, session, credentials, kms_key=kms_key, dynamodb=dynamodb, kms=kms)
    return open_store(table, access)


def _access(
    region: str | None,
    kms_region: str | None,
    session: boto3.Session | None,
    credentials: Mapping[str, str | None],
    *,
    kms_key: str | None = None,
    dynamodb: Any = None,
    kms: Any = None,
) -> Access:
    if unknown := sorted(credentials.keys() - set(_CREDENTIALS)):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    profile = credentials.get("profile_name")
    if session is None:
        # A profile alone needs no session of boto3's, which takes longer to make than a secret to get.
        own = credentials.get("aws_access_key_id") is not None
        session = session_of(*(credentials.get(name) for name in _CREDENTIALS)) if own else None
        if session is None and profile is None:
            session = last_session()
    return Access(
        region=region,
        kms_region=kms_region,
        profile=profile if session is None else None,
        key=kms_key,
        session=session,
        dynamodb=dynamodb,
        kms=kms,
    )


def _stored(
    store: Store,
    name: str,
    secret: str | bytes,
    version: str | None,
    context: Mapping[str, str] | None,
    digest: str,
    comment: str,
) -> dict[str, Any]:
    if not isinstance(secret, str | bytes):
        raise InvalidArgumentError(f"the value of {name} is neither text nor bytes", hint="convert it first")
    value = encode(secret, "the value") if isinstance(secret, str) else secret
    made = store.put(
        Entry(
            name=name,
            value=Plaintext(value),
            version=version,
            context=context or {},
            comment=comment or None,
            digest=digest,
        )
    )
    return {"Version": made, "ResponseMetadata": {"HTTPStatusCode": 200}}


def _shown(value: Plaintext) -> str | bytes:
    data = value.expose()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


@contextmanager
def _told() -> Iterator[None]:
    """Errors as programs that were written for credstash expect them."""
    try:
        yield
    except PartialError as error:
        if len(error.failures) > 1:
            raise
        (name,) = error.failures
        raise told(error.failures[name]) from error
    except DynastashError as error:
        expected = told(error)
        if expected is error:
            raise
        raise expected from error

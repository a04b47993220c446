"""The composition root: from an environment's settings to a :class:`~dynastash.stash.api.Stash`.

Implementations are imported inside the functions, so that nobody pays for what is not used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from dynastash.config import Environment, resolve
from dynastash.errors import ConfigError
from dynastash.places import Kind, Place

if TYPE_CHECKING:
    import boto3

    from dynastash.aws.base import AwsSettings, Transport
    from dynastash.aws.clients import Clients
    from dynastash.credstash.keys import TableKeys
    from dynastash.credstash.publisher import CredstashTarget
    from dynastash.credstash.table import Table
    from dynastash.credstash.terms import Terms
    from dynastash.models import DataKey
    from dynastash.places import Source, Target
    from dynastash.stash.api import Stash
    from dynastash.stash.highwater import HighWater
    from dynastash.stores.base import Store


def connect(environment: str | None = None, *, session: boto3.Session | None = None, **overrides: str | None) -> Stash:
    """Open an environment.

    Without arguments: ``DYNASTASH_ENV``, or the ``default`` of the nearest ``dynastash.toml``, or the embedded
    environment ``local``. ``session`` is used for every call to AWS instead of one made from the settings.
    ``overrides`` are settings of the file, among them ``region``, ``profile``, ``role_arn``, ``endpoint_url``,
    ``read_region``, ``table``, ``key``, and ``path`` for an embedded environment.

    Raises :class:`~dynastash.errors.ConfigError`. Nothing is written and AWS is not called before the first operation.
    """
    return open_environment(resolve(environment, overrides=overrides), session=session)


def open_environment(
    environment: Environment, *, session: boto3.Session | None = None, notice: Callable[[str], None] | None = None
) -> Stash:
    """A stash on ``environment``. Raises :class:`ConfigError` for a ``session`` where AWS is not asked for.

    ``notice`` is told in a sentence when reads go to the environment's ``read_region``, and when they come back;
    without it, the logger ``dynastash`` is.
    """
    if environment.store == "sqlite":
        if session is not None:  # whoever brings a session must not end up in a file on this machine
            raise ConfigError(
                f"environment {environment.name} is on this machine and takes no session",
                hint='name an environment on AWS, as in connect("prod", session=…)',
            )
        return _open_sqlite(environment)
    from dynastash.aws.choose import open_transport

    return on_transport(environment, open_transport(environment.aws, session, notice))


def on_transport(environment: Environment, transport: Transport) -> Stash:
    """A stash on ``environment``, which is on AWS, whose calls ``transport`` carries."""
    from dynastash.aws.identity import Identity
    from dynastash.keys.kms import KmsKeys
    from dynastash.stash.api import Stash
    from dynastash.stores.dynamodb import DynamoDBStore

    store = DynamoDBStore(transport, environment.table)
    return Stash(
        environment.name,
        store,
        KmsKeys(transport, environment.key, environment.trusted_keys, concurrency=environment.concurrency),
        identity=Identity(transport),
        seen=_seen(environment, store),
    )


def open_source(
    place: Place,
    near: Environment,
    *,
    way: Mapping[str, str] | None = None,
    whole: bool = True,
    terms: Terms | None = None,
) -> Source:
    """The place that secrets are taken from. Raises :class:`ConfigError`; nothing is called before it is read.

    ``way`` (``region``, ``profile``, ``role_arn``, ``endpoint_url``) says how it is reached where that is not how
    ``near`` is, the environment that they go to. ``whole`` asks for every version instead of the current one.
    ``terms`` are what a credstash table's items are opened with.
    """
    way = way or {}
    if place.kind == Kind.CREDSTASH:
        from dynastash.credstash.reader import CredstashSource
        from dynastash.credstash.terms import Terms

        terms = terms or Terms()
        table, keys = _credstash(place, near, way, terms)
        return CredstashSource(table, keys, terms.contexts, whole=whole, require_binding=terms.require_binding)
    if place.kind == Kind.ENVIRONMENT:
        from dynastash.transfer.environment import EnvironmentSource

        return EnvironmentSource(open_environment(resolve(place.where, overrides=way)), whole=whole)
    if place.kind == Kind.SSM:
        from dynastash.transfer.services.histories import ParameterSource

        return ParameterSource(_clients(near, way), place.where, whole=whole)
    if place.kind == Kind.SECRETS_MANAGER:
        from dynastash.transfer.services.histories import SecretsManagerSource

        return SecretsManagerSource(_clients(near, way), place.where, whole=whole)
    raise ConfigError(f"secrets cannot be taken from {place}")


def open_target(
    place: Place,
    near: Environment,
    *,
    way: Mapping[str, str] | None = None,
    key_id: str | None = None,
    advanced: bool = False,
    recovery_days: int = 30,
) -> Target:
    """The place that secrets of ``near`` are handed to. Raises :class:`ConfigError`; nothing is called before it is.

    ``way`` is as with :func:`open_source`. ``key_id`` is the KMS key that the service encrypts with, its own where that
    is None. ``advanced`` allows advanced parameters in Parameter Store; ``recovery_days`` is how long Secrets Manager
    can restore what is removed.
    """
    way = way or {}
    if place.kind == Kind.SSM:
        from dynastash.transfer.services.parameters import ParameterTarget

        return ParameterTarget(_clients(near, way), place.where, near.name, key_id=key_id, advanced=advanced)
    if place.kind == Kind.SECRETS_MANAGER:
        from dynastash.transfer.services.managed import SecretsManagerTarget

        return SecretsManagerTarget(
            _clients(near, way), place.where, near.name, key_id=key_id, recovery_days=recovery_days
        )
    raise ConfigError(f"secrets cannot be handed to {place}")


def open_published(
    place: Place,
    near: Environment,
    *,
    way: Mapping[str, str] | None = None,
    terms: Terms | None = None,
    key: str | None = None,
) -> tuple[CredstashTarget, CredstashTarget]:
    """A credstash table that secrets of ``near`` are published to, and the same for changes of a few.

    ``key`` is the KMS key that new items are wrapped under; the rest is as with :func:`open_source`.
    """
    from dynastash.credstash.publisher import CredstashTarget
    from dynastash.credstash.terms import Terms

    terms = terms or Terms()
    table, keys = _credstash(place, near, way or {}, terms, key)
    whole, few = (CredstashTarget(table, keys, near.name, terms.contexts, whole=whole) for whole in (True, False))
    return whole, few


def _credstash(
    place: Place, near: Environment, way: Mapping[str, str], terms: Terms, key: str | None = None
) -> tuple[Table, TableKeys]:
    """A credstash table and the keys of its items. ``key`` is for new ones."""
    from dynastash.aws.choose import open_transport
    from dynastash.credstash.keys import DEFAULT_KEY, TableKeys
    from dynastash.credstash.table import Table
    from dynastash.frozen import replace

    settings = settings_near(near, way)
    transport = open_transport(settings)
    elsewhere = terms.kms_region and terms.kms_region != settings.region
    to_kms = open_transport(replace(settings, region=terms.kms_region)) if elsewhere else transport
    keys = TableKeys(to_kms, key=key or DEFAULT_KEY, trusted=terms.trusted, concurrency=near.concurrency)
    return Table(transport, place.where), keys


def _clients(near: Environment, way: Mapping[str, str]) -> Clients:
    """Clients that wait for services which allow a few calls a second."""
    from dynastash.aws.clients import Clients

    clients = Clients(settings_near(near, way), attempts=6)
    if near.store == "sqlite":
        try:
            _ = clients.region
        except ConfigError as error:  # an environment on this machine takes none that could be given
            error.hint = "give the place's own, --to-region or --from-region, or set AWS_REGION"
            raise
    return clients


def settings_near(near: Environment, way: Mapping[str, str]) -> AwsSettings:
    """How a place is reached: as ``near`` is, but for what ``way`` says.

    Another profile or role stands for itself: a role of the environment's is not assumed from it.
    """
    from dynastash.aws.base import AwsSettings
    from dynastash.frozen import replace

    if "profile" in way or "role_arn" in way:
        base = AwsSettings(region=near.aws.region, endpoint_url=near.aws.endpoint_url, ask_mfa=near.aws.ask_mfa)
    else:
        base = replace(near.aws, read_region=None, read_endpoint_url=None)
    return replace(base, **way)


def way_to(environment: Environment) -> str | None:
    """In words, how calls to AWS are carried, and why so; None for an environment on this machine."""
    if environment.store == "sqlite":
        return None
    from dynastash.aws.choose import choose

    choice = choose(environment.aws)
    return f"transport {choice.transport}: {choice.reason}"


def _open_sqlite(environment: Environment) -> Stash:
    from dynastash.keys.local import LocalKeys, key_from_file, key_from_keyring, key_from_text
    from dynastash.stash.api import Stash
    from dynastash.stores.sqlite import SQLiteStore

    directory = environment.directory
    store = SQLiteStore(directory / f"{environment.name}.db")
    path = directory / f"{environment.name}.key"
    text = os.environ.get("DYNASTASH_LOCAL_KEY")

    def create() -> bool:
        # A store that lost its key must say so, and not get a new key that opens nothing.
        return not store.exists()

    def load() -> DataKey:
        if text:
            return key_from_text(text, "DYNASTASH_LOCAL_KEY")
        if environment.keyring:
            return key_from_keyring(f"{environment.name}@{directory}", create=create, directory=directory)
        return key_from_file(path, create=create)

    where = "DYNASTASH_LOCAL_KEY" if text else "the operating system's keyring" if environment.keyring else str(path)
    return Stash(
        environment.name,
        store,
        LocalKeys(load, description=where),
        identity=_local_identity,
        seen=_seen(environment, store),
    )


def _seen(environment: Environment, store: Store) -> HighWater | None:
    """The high-water marks in the environment's state file; None where it has none."""
    if environment.state is None:
        return None
    from dynastash.statefile import StateFile

    aws = environment.aws

    def identified() -> str:
        # A table's name and Region are no account: what else leads to one tells the rest. Asking AWS would cost a call.
        parts = (store.description, aws.endpoint_url, aws.profile, aws.role_arn)
        return " | ".join(part for part in parts if part)

    return StateFile(environment.state, environment.name, identified)


def _local_identity() -> str:
    import getpass  # these two belong to those who write
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    author = f"local:{user}@{socket.gethostname()}"
    return author.encode("utf-8", "replace").decode("utf-8")  # $LOGNAME may hold any bytes

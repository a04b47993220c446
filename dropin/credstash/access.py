"""From a name and what the caller says of AWS to the store behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from credstash.store import Context, Deleted, Entry, Listed
from credstash.where import Meaning, meaning
from dynastash.errors import ConfigError, KeyProviderError, StoreNotFoundError
from dynastash.frozen import Frozen, field, replace

if TYPE_CHECKING:
    import boto3

    from credstash.environment import EnvironmentStore
    from credstash.store import Store
    from credstash.table import TableStore
    from dynastash.aws.base import AwsSettings, Transport
    from dynastash.config import Configuration
    from dynastash.models import Plaintext

TABLE: Final = "credential-store"
KEY: Final = "alias/credstash"
_TRUSTED: Final = "CREDSTASH_TRUSTED_KEYS"
_BINDING: Final = "CREDSTASH_REQUIRE_BINDING"
_SESSION_NAME: Final = "AssumeRoleCredstashSession1"  # what the trust policies of credstash's users may ask for
_T = TypeVar("_T")


class Access(Frozen, kw_only=True):
    """What a caller says of AWS. ``default_region`` is for an old table where nobody names a Region.

    ``key`` is the KMS key of new items of an old table, None where the caller names none. ``session``, ``dynamodb`` (a
    resource or a client) and ``kms`` (a client) are boto3's, of the caller's own making.
    """

    region: str | None = None
    default_region: str | None = None
    kms_region: str | None = None
    profile: str | None = None
    arn: str | None = None
    key: str | None = None
    session: boto3.Session | None = field(default=None, repr=False)
    dynamodb: Any = field(default=None, repr=False)
    kms: Any = field(default=None, repr=False)


def open_store(name: str, access: Access) -> Store:
    """The old table or the environment that ``name`` means. Raises :class:`ConfigError`; AWS is not called yet."""
    from dynastash.config import load

    configuration = load()
    meant = meaning(name, configuration)
    if meant.table is None:
        return _environment(meant.environment or "", access, configuration)
    table = _table(meant.table, access)
    if meant.environment is None:
        return table
    return _TableOrEnvironment(table, meant, lambda name: _environment(name, access, configuration))


class _TableOrEnvironment:
    """A table, or where DynamoDB says that there is none, the environment of that name. The first call decides it."""

    def __init__(self, table: TableStore, meant: Meaning, environment: Callable[[str], EnvironmentStore]) -> None:
        self._store: Store = table
        self._meant = meant
        self._open = environment
        self._known = False

    @property
    def description(self) -> str:
        """Which one it is; as long as nothing was asked, the table."""
        return self._store.description

    def get(self, name: str, version: str, context: Context) -> Plaintext:
        """See :class:`~credstash.store.Store`."""
        return self._decided(lambda store: store.get(name, version, context))

    def get_all(self, wanted: Callable[[str], bool], version: str, context: Context) -> dict[str, Plaintext]:
        """See :class:`~credstash.store.Store`."""
        return self._decided(lambda store: store.get_all(wanted, version, context))

    def listed(self) -> Sequence[Listed]:
        """See :class:`~credstash.store.Store`."""
        return self._decided(lambda store: store.listed())

    def highest(self, name: str) -> str | None:
        """See :class:`~credstash.store.Store`."""
        return self._decided(lambda store: store.highest(name))

    def put(self, entry: Entry) -> str:
        """See :class:`~credstash.store.Store`."""
        table = self._store
        try:
            return table.put(entry)
        except (StoreNotFoundError, KeyProviderError):  # KMS is asked first, for a key that only a table needs
            self.highest(entry.name)
            if self._store is table:
                raise
        return self._store.put(entry)

    def delete(self, name: str, version: str | None = None) -> Deleted:
        """See :class:`~credstash.store.Store`."""
        return self._decided(lambda store: store.delete(name, version))

    def _decided(self, act: Callable[[Store], _T]) -> _T:
        try:
            result = act(self._store)
        except StoreNotFoundError as error:
            if self._known or error.code != "ResourceNotFoundException":
                raise
            result, self._store = self._in_environment(act, error)
        self._known = True
        return result

    def _in_environment(self, act: Callable[[Store], _T], error: StoreNotFoundError) -> tuple[_T, Store]:
        name = self._meant.environment or ""
        environment = self._open(name)
        try:
            return act(environment), environment
        except StoreNotFoundError:
            raise StoreNotFoundError(
                f"{error}, and neither does an environment {name}",
                hint=f"check -t and -r, or make one: `credstash setup`, `dynastash deploy {name}`",
                code=error.code,
            ) from error


def _table(name: str, access: Access) -> TableStore:
    from credstash.table import TableStore
    from dynastash.credstash.keys import TableKeys
    from dynastash.credstash.store import CredentialStore
    from dynastash.credstash.table import Table

    transport, kms = _transports(access)
    keys = TableKeys(kms, key=access.key or KEY, trusted=trusted(os.environ))
    store = CredentialStore(Table(transport, name), keys, require_binding=_requires_binding(os.environ))
    return TableStore(store)


def _environment(name: str, access: Access, configuration: Configuration) -> EnvironmentStore:
    from credstash.environment import EnvironmentStore
    from dynastash.config import resolve
    from dynastash.wiring import on_transport, open_environment

    if access.key not in (None, KEY):
        raise ConfigError(
            f"the environment {name} has a key of its own, and {access.key!r} cannot be another",
            hint="leave out -k (kms_key); for an old table of that name, write -t credstash:NAME",
        )
    overrides = {"region": access.region, "profile": access.profile, "role_arn": access.arn}
    environment = resolve(name, configuration=configuration, overrides=overrides)
    if environment.store == "dynamodb":
        if access.dynamodb is not None or access.kms is not None:
            from credstash.clients import ClientTransport

            return EnvironmentStore(on_transport(environment, ClientTransport(access.dynamodb, access.kms)))
        return EnvironmentStore(open_environment(environment, session=access.session))
    return EnvironmentStore(open_environment(environment))


def _transports(access: Access) -> tuple[Transport, Transport]:
    """What carries the calls to DynamoDB and those to KMS, which may be in another Region."""
    from dynastash.aws.choose import open_transport

    settings = aws_settings(access)
    made: dict[str | None, Transport] = {}

    def opened(region: str | None) -> Transport:
        if region not in made:
            made[region] = open_transport(replace(settings, region=region), access.session)
        return made[region]

    if access.dynamodb is None and access.kms is None:
        return opened(access.region), opened(access.kms_region or access.region)
    from credstash.clients import ClientTransport

    own = ClientTransport(access.dynamodb, access.kms)
    return (
        opened(access.region) if access.dynamodb is None else own,
        opened(access.kms_region or access.region) if access.kms is None else own,
    )


def aws_settings(access: Access) -> AwsSettings:
    """What ``access`` says, for an old table."""
    from dynastash.aws.base import AwsSettings

    return AwsSettings(
        region=access.region,
        default_region=access.default_region,
        profile=access.profile,
        role_arn=access.arn,
        role_session_name=None if access.arn is None else _SESSION_NAME,
    )


def trusted(variables: Mapping[str, str]) -> Sequence[str]:
    """The keys that items of an old table may be wrapped under; none for any."""
    named = variables.get(_TRUSTED, "")
    keys = [key.strip() for key in named.split(",") if key.strip()]
    return () if "*" in keys else keys or (KEY,)


def _requires_binding(variables: Mapping[str, str]) -> bool:
    value = variables.get(_BINDING, "")
    if value not in ("", "0", "1"):
        raise ConfigError(f"{_BINDING} is neither 0 nor 1", hint=f"set {_BINDING}=1, or unset it")
    return value == "1"


if TYPE_CHECKING:

    def _conforms(store: _TableOrEnvironment) -> Store:
        return store

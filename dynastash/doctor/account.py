"""Versions, Region, credentials, identity, clock: what every call depends on."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, Final

from dynastash._version import __version__
from dynastash.aws.clients import Clients, translated
from dynastash.aws.errors import one_line
from dynastash.clock import Clock
from dynastash.config import Environment
from dynastash.doctor.check import Outcome, failed, ok, skipped, warning
from dynastash.errors import ServiceError, ServiceUnavailableError

TOLERATED: Final = 60
"""Seconds that the clock may be off without a word."""

REFUSED: Final = 300
"""Seconds from which on AWS refuses a request's signature."""


def versions() -> Outcome:
    """What runs here."""
    from importlib.metadata import PackageNotFoundError, version

    parts = [f"dynastash {__version__}", f"Python {platform.python_version()}"]
    missing = []
    for package in ("boto3", "cryptography"):
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        return failed(f"{', '.join(parts)}; {' and '.join(missing)} missing", "install dynastash anew with pip")
    return ok(", ".join(parts))


class Account:
    """What is known of the caller while the checks go on."""

    def __init__(self, environment: Environment, make_clients: Callable[[], Clients], clock: Clock) -> None:
        self.environment = environment
        self.arn: str | None = None
        self.skew: float | None = None
        """Seconds by which this machine's clock is ahead of AWS's, as the last answer showed it."""

        self._make = make_clients
        self._made: Clients | None = None
        self._watched: set[str] = set()
        self._clock = clock

    @property
    def clients(self) -> Clients:
        """The account's clients. Raises :class:`~dynastash.errors.ConfigError`."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def client(self, service: str) -> Any:
        """boto3's client for ``service``, whose answers tell the time."""
        client = self.clients.get(service)
        if service not in self._watched:
            self._watched.add(service)
            client.meta.events.register("after-call", self._observe)
        return client

    def _observe(self, http_response: Any, **_: Any) -> None:
        from email.utils import parsedate_to_datetime

        try:
            theirs = parsedate_to_datetime(http_response.headers["Date"]).timestamp()
        except (KeyError, TypeError, ValueError, AttributeError):
            return
        self.skew = self._clock.now() / 1000 - theirs

    def region(self) -> Outcome:
        """Where calls go."""
        region = self.clients.region
        endpoint = self.environment.aws.endpoint_url
        return ok(f"{region}, endpoint {one_line(endpoint)}" if endpoint else region)

    def credentials(self) -> Outcome:
        """Whether there are any, and where they come from; their parts are not shown."""
        from dynastash.aws.boto import credentials_of

        session = self.clients.session
        credentials_of(session)
        found = session.get_credentials()
        method = found.method if found is not None else "boto3"
        role = f", as {self.environment.aws.role_arn}" if self.environment.aws.role_arn else ""
        return ok(f"found by {method}{role}")

    def identity(self) -> Outcome:
        """Who the caller is."""
        try:
            with translated("sts"):
                reply = self.client("sts").get_caller_identity()
        except ServiceUnavailableError as error:
            return warning(
                f"{error}: versions will name the access key as their author",
                "a VPC without internet needs an interface endpoint for sts",
            )
        except ServiceError as error:
            return warning(str(error), error.hint)
        self.arn = str(reply.get("Arn", ""))
        return ok(f"{one_line(self.arn)} in account {one_line(reply.get('Account', '?'))}")

    def clock(self) -> Outcome:
        """How far the clock is off, by the dates of AWS's answers."""
        if self.skew is None:
            return skipped("no answer told the time")
        off = abs(self.skew)
        said = f"{off:.0f} seconds {'ahead of' if self.skew > 0 else 'behind'} AWS's"
        if off >= REFUSED:
            return failed(said, "set the clock (NTP): AWS refuses signatures that are 5 minutes off")
        if off >= TOLERATED:
            return warning(said, "set the clock (NTP) before AWS refuses its signatures")
        return ok("agrees with AWS's to the second" if off < 2 else said)


def replica(account: Account, clients: Clients) -> Outcome:
    """Whether table and key can be read in the Region that reads fall back to. ``clients`` are that Region's."""
    environment = account.environment
    with translated("dynamodb"):
        described = clients.get("dynamodb").describe_table(TableName=environment.table)["Table"]
    key = environment.key
    if ":key/mrk-" in key:
        key = key.replace(f":{account.clients.region}:", f":{clients.region}:", 1)
    with translated("kms"):
        metadata = clients.get("kms").describe_key(KeyId=key)["KeyMetadata"]
    if described.get("TableStatus") not in ("ACTIVE", "UPDATING") or metadata.get("KeyState") != "Enabled":
        return failed(
            f"in {clients.region} the table is {described.get('TableStatus')} and the key {metadata.get('KeyState')}",
            "docs/how-to/second-region.md says what a replica takes",
        )
    if not metadata.get("MultiRegion"):
        return failed(
            f"the key {key} in {clients.region} is no multi-Region key: it opens nothing that another Region wrote",
            "docs/how-to/second-region.md says what a replica takes",
        )
    return ok(f"{environment.table} and {metadata['Arn']}")

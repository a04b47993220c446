"""What the global options of one invocation say, whoever parsed them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dynastash.config import Environment
    from dynastash.stash.api import Stash

OVERRIDES: Final = ("region", "profile", "role_arn", "endpoint_url", "table", "key", "concurrency")
"""Options that override a setting of the environment's."""


class Settings:
    """The global options of one invocation."""

    def __init__(self) -> None:
        self.env: str | None = None
        self.output = "table"
        self.verbose = False
        self.asks = True
        """Whether somebody may be asked for what is missing: not while a shell completes a name."""
        self.overrides: dict[str, str] = {}
        self._chosen: Environment | None = None
        self._defined: list[str] = []

    def take(self, given: dict[str, Any]) -> None:
        """Let what was given last win."""
        self.env = given.get("env") or self.env
        self.output = given.get("output") or self.output
        self.verbose = given.get("verbose") or self.verbose
        self.overrides |= {key: given[key] for key in OVERRIDES if given.get(key)}

    def environment(self) -> Environment:
        """The environment that the options, the variables and the file choose."""
        from dynastash.config import load, resolve

        configuration = load()
        self._defined = configuration.names() if configuration.path is not None else []
        self._chosen = resolve(self.env, configuration=configuration, overrides={**self.overrides})
        if self._chosen.aws.mfa_serial is not None and self.asks:
            from dynastash.cli.asking import mfa_code
            from dynastash.frozen import replace

            self._chosen = replace(self._chosen, aws=replace(self._chosen.aws, ask_mfa=mfa_code))
        return self._chosen

    def environment_on_aws(self, otherwise: str, *, hint: str = "name one on AWS with -e") -> Environment:
        """The same for what only AWS has; ``otherwise`` says how it is on this machine. Raises :class:`ConfigError`."""
        environment = self.environment()
        if environment.store != "dynamodb":
            from dynastash.errors import ConfigError

            raise ConfigError(f"the environment {environment.name} is on this machine: {otherwise}", hint=hint)
        return environment

    def advice(self, hint: str | None) -> str | None:
        """``hint`` with its commands as they must be typed here, and a word on a name that is defined nowhere."""
        if hint is None or self._chosen is None:
            return hint
        name = self._chosen.name
        hint = hint.replace("dynastash deploy ENV", f"dynastash deploy {name}")
        if self.env is not None:
            import re

            hint = re.sub(r"`dynastash (?!deploy )", f"`dynastash -e {name} ", hint)
        if self._defined and name not in self._defined:
            mark = "" if hint.endswith("?") else ";"
            hint = f"{hint}{mark} the configuration defines {', '.join(self._defined)}, and not {name}"
        return hint

    def stash(self) -> Stash:
        """Open it."""
        from dynastash.cli.output import say
        from dynastash.wiring import open_environment, way_to

        environment = self.environment()
        stash = open_environment(environment, notice=lambda message: say(f"warning: {message}"))
        if self.verbose:
            where = "not configured" if environment.source == "default" else environment.source
            say(f"environment {stash.environment} ({where}): {stash.where}, key {stash.key}")
            if way := way_to(environment):
                say(way)
        return stash

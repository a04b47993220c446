"""Environments: where they are defined, what overrides what, and what is refused instead of ignored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dynastash import config
from dynastash.aws.base import AwsSettings
from dynastash.config import Configuration, Environment, load, resolve, resolve_all
from dynastash.errors import ConfigError, InvalidNameError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any configuration, in an empty working directory."""
    home = tmp_path / "home"
    (home / "work" / "deep").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(home / "work" / "deep")
    return home


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def of(text: str, name: str | None = None, tmp: Path | None = None, **given: Any) -> Environment:
    """An environment of a file with that text, and nothing else around."""
    path = write((tmp or Path.cwd()) / "dynastash.toml", text)
    return resolve(name, configuration=load(path.parent, {}), variables=given.pop("variables", {}), **given)


class TestWhichFile:
    """The nearest one, or the user's, or the one that is named."""

    def test_without_any_there_is_local(self, home: Path) -> None:
        """A directory of the user's own."""
        environment = resolve(variables={})
        assert environment == Environment(
            name="local", store="sqlite", location=str(home / ".local" / "share" / "dynastash"), source="default"
        )
        assert load(variables={}) == Configuration(None, "local", {})
        assert resolve_all(load(variables={}), {}) == [environment]

    def test_the_nearest_one_counts(self, home: Path) -> None:
        """Nothing is merged; behind the parents comes the user's own directory."""
        user = write(home / ".config" / "dynastash" / "dynastash.toml", 'default = "user"')
        assert load(variables={}).path == user
        parent = write(home / "dynastash.toml", 'default = "parent"')
        assert load(variables={}).path == parent
        near = write(home / "work" / "dynastash.toml", 'default = "near"')
        assert (load(variables={}).path, resolve(variables={}).name) == (near, "near")
        assert load(home, {}).path == parent

    def test_one_that_is_named_is_the_only_one(self, home: Path) -> None:
        """Also where others are nearer; one that is not there is an error."""
        write(home / "work" / "dynastash.toml", 'default = "near"')
        named = write(home / "elsewhere" / "any.toml", 'default = "named"')
        assert resolve(variables={"DYNASTASH_CONFIG": "~/elsewhere/any.toml"}).name == "named"
        assert load(variables={"DYNASTASH_CONFIG": "../../elsewhere/any.toml"}).path.samefile(named)  # type: ignore[union-attr]
        for wrong in ("nowhere.toml", str(home)):
            with pytest.raises(ConfigError, match="which is not a file"):
                load(variables={"DYNASTASH_CONFIG": wrong})
        assert load(variables={"DYNASTASH_CONFIG": ""}).default == "near"

    def test_a_working_directory_that_is_gone(self, home: Path) -> None:
        """The user's file counts; nothing fails."""
        user = write(home / ".config" / "dynastash" / "dynastash.toml", 'default = "user"')
        (home / "work" / "deep").rmdir()
        assert load(variables={}).path == user

    def test_a_parent_that_may_not_be_read_is_passed(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody else's home may lie on the way up."""
        parent = write(home / "dynastash.toml", 'default = "parent"')
        is_file = Path.is_file

        def guarded(self: Path) -> bool:
            if self.parent == home / "work":
                raise PermissionError(13, "Permission denied")
            return is_file(self)

        monkeypatch.setattr(Path, "is_file", guarded)
        assert load(variables={}).path == parent

    def test_one_that_another_user_left_in_a_parent_is_refused(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in /tmp: it would say where secrets go. Root's, one's own and the directory's owner's are taken."""
        path = write(home / "work" / "dynastash.toml", 'default = "evil"')
        owners = {path: 4711, home / "work" / "deep": 1000}
        stat = os.stat

        def owned(path: Any, **given: Any) -> os.stat_result:
            found = stat(path, **given)
            owner = owners.get(Path(path)) if isinstance(path, str) else None
            return os.stat_result((*found[:4], owner, *found[5:10])) if owner is not None else found

        monkeypatch.setattr(os, "stat", owned)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(ConfigError, match="belongs to another user") as caught:
            load(variables={})
        assert caught.value.hint == f"if you trust it, say so with DYNASTASH_CONFIG={path}"
        assert load(variables={"DYNASTASH_CONFIG": str(path)}).default == "evil"
        for owner in (0, 1000):
            owners[path] = owner
            assert load(variables={}).default == "evil"
        owners.update({path: 4711, home / "work" / "deep": 4711})
        assert load(variables={}).default == "evil"

    def test_one_that_cannot_be_read(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An error of ours, naming the file."""
        path = write(home / "dynastash.toml", "")

        def denied(self: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", denied)
        with pytest.raises(ConfigError, match=f"{path} cannot be read: Permission denied"):
            load(variables={})


class TestWhatItSays:
    """One that is wrong is refused, with its place."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('default = "dev"\n[env.dev\n', r"is not TOML: .*line 2"),
            ('default = "a"\ndefault = "b"', r"is not TOML: .*line 2, the last"),
            ('defaults = "dev"', "defaults is not a setting"),
            ("default = 7", "default is not a name"),
            ('default = "Dev"', "'Dev' is not a name for an environment"),
            ("env = 7", "env is not a table"),
            ("[env.Dev]", "'Dev' is not a name for an environment"),
            ("[env]\ndev = 7", "env.dev is not a table"),
            ('[env.dev]\nregoin = "x"', "env.dev.regoin is not a setting"),
            ("[env.dev]\nregion = 7", "env.dev.region is not text"),
            ('[env.dev]\nregion = ""', "env.dev.region is not text"),
            ("[env.dev]\nregion = 2026-01-01", "env.dev.region is not text"),
            ('[env.dev]\ntrusted_keys = "k"', "env.dev.trusted_keys is not a list of text"),
            ("[env.dev]\ntrusted_keys = [7]", "env.dev.trusted_keys is not a list of text"),
            ('[env.dev]\nstore = "redis"', "env.dev.store is not a store"),
            ('[env.dev]\nconcurrency = "8"', "env.dev.concurrency is not a whole number"),
            ("[env.dev]\nconcurrency = true", "env.dev.concurrency is not a whole number"),
        ],
    )
    def test_the_error_names_file_and_setting(self, text: str, message: str) -> None:
        """And gives advice."""
        with pytest.raises(ConfigError, match=message) as caught:
            of(text)
        assert str(caught.value).startswith(str(Path.cwd() / "dynastash.toml"))
        assert caught.value.hint

    def test_bytes_that_are_not_text(self) -> None:
        """TOML is UTF-8."""
        (Path.cwd() / "dynastash.toml").write_bytes(b'default = "\xff"')
        with pytest.raises(ConfigError, match="byte 11 is not UTF-8"):
            load(variables={})

    def test_every_setting(self, home: Path) -> None:
        """Of an environment on AWS."""
        environment = of(
            """
            default = "prod"
            [env.prod]
            region = "eu-west-1"
            profile = "p"
            role_arn = "arn:aws:iam::1:role/r"
            endpoint_url = "http://localhost:1"
            table = "t"
            key = "alias/k"
            trusted_keys = ["a", " b ", ""]
            concurrency = 64
            """
        )
        assert environment == Environment(
            name="prod",
            store="dynamodb",
            aws=AwsSettings(
                region="eu-west-1", profile="p", role_arn="arn:aws:iam::1:role/r", endpoint_url="http://localhost:1"
            ),
            table="t",
            key="alias/k",
            trusted_keys=("a", "b"),
            concurrency=64,
            source=str(Path.cwd() / "dynastash.toml"),
        )

    def test_nothing_has_to_be_said(self) -> None:
        """Any name has a table and a key by default, whether the file knows it or not."""
        for text in ("[env.dev]", ""):
            environment = of(text, "dev")
            assert (environment.store, environment.table, environment.key) == (
                "dynamodb",
                "dynastash-dev",
                "alias/dynastash-dev",
            )
            assert (environment.aws, environment.trusted_keys) == (AwsSettings(), ())
            assert (environment.source == "default") is (text == "")

    def test_all_environments(self) -> None:
        """Sorted; the default and local are among them, and variables do not change what the file says."""
        configuration = load(write(Path.cwd() / "dynastash.toml", 'default = "x"\n[env.b]\n[env.a]').parent, {})
        assert configuration.names() == ["a", "b", "local", "x"]
        found = resolve_all(configuration, {"DYNASTASH_TABLE": "t", "DYNASTASH_ENV": "a"})
        assert [(environment.name, environment.table) for environment in found] == [
            ("a", "dynastash-a"), ("b", "dynastash-b"), ("local", ""), ("x", "dynastash-x"),
        ]  # fmt: skip


class TestPrecedence:
    """File < variables < arguments."""

    text = '[env.prod]\nregion = "file"\ntable = "file"\nkey = "file"\ntrusted_keys = ["file"]'

    def test_of_settings(self) -> None:
        """Each on its own; an empty variable and an argument that is None say nothing."""
        assert of(self.text, "prod").table == "file"
        variables = {"DYNASTASH_TABLE": "var", "DYNASTASH_KEY": "var", "DYNASTASH_TRUSTED_KEYS": "v1, v2,,"}
        environment = of(self.text, "prod", variables=variables)
        assert (environment.table, environment.key, environment.trusted_keys) == ("var", "var", ("v1", "v2"))
        assert environment.aws.region == "file"
        overrides = {"table": "arg", "region": "arg", "key": None, "trusted_keys": "a1,a2"}
        environment = of(self.text, "prod", variables=variables, overrides=overrides)
        assert (environment.table, environment.key, environment.aws.region) == ("arg", "var", "arg")
        assert environment.trusted_keys == ("a1", "a2")
        assert (of(self.text, "prod").concurrency, environment.concurrency) == (32, 32)
        assert of(self.text, "prod", variables={"DYNASTASH_CONCURRENCY": "7"}).concurrency == 7
        assert of("", variables={"DYNASTASH_CONCURRENCY": "7"}).concurrency == 32
        empty = dict.fromkeys(variables, "")
        environment = of(self.text, "prod", variables=empty)
        assert (environment.table, environment.trusted_keys) == ("file", ("file",))

    def test_of_the_name(self) -> None:
        """The file's default < DYNASTASH_ENV < the argument."""
        text = 'default = "a"'
        assert of(text).name == "a"
        assert of(text, variables={"DYNASTASH_ENV": "b"}).name == "b"
        assert of(text, "c", variables={"DYNASTASH_ENV": "b"}).name == "c"
        assert of(text, variables={"DYNASTASH_ENV": ""}).name == "a"
        for wrong in ("Prod", "a/b", "x" * 32, "ü"):
            with pytest.raises(InvalidNameError):
                of(text, wrong)
            with pytest.raises(InvalidNameError):
                of(text, variables={"DYNASTASH_ENV": wrong})

    def test_of_the_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process's own variables, where none are given."""
        monkeypatch.setenv("DYNASTASH_ENV", "staging")
        monkeypatch.setenv("DYNASTASH_TABLE", "t")
        assert (resolve().name, resolve().table) == ("staging", "t")
        assert [environment.table for environment in resolve_all(load())] == [""]

    @pytest.mark.parametrize("given", ["0", "65", "-1", "x", "1.5", "١", "9" * 40, ""])
    def test_a_concurrency_that_is_none(self, given: str) -> None:
        """As a variable and as an argument; an empty variable says nothing."""
        with pytest.raises(ConfigError, match="concurrency is out of range"):
            of("", "prod", overrides={"concurrency": given})
        if given:
            with pytest.raises(ConfigError, match="concurrency is out of range"):
                of("", "prod", variables={"DYNASTASH_CONCURRENCY": given})

    def test_an_argument_that_is_no_setting_is_refused(self) -> None:
        """A misspelt region must not lead elsewhere in silence."""
        with pytest.raises(ConfigError, match="regoin is not a setting") as caught:
            of("", "prod", overrides={"regoin": "eu-west-1"})
        assert "region" in (caught.value.hint or "")
        assert of("", "prod", overrides={"regoin": None}).name == "prod"


class TestEmbedded:
    """Environments on this machine."""

    def test_several_of_them(self, home: Path) -> None:
        """In a directory relative to the file, an absolute one, the home's, or the user's data directory."""
        write(
            home / "dynastash.toml",
            f"""
            [env.a]
            store = "sqlite"
            path = "secrets"
            [env.b]
            store = "sqlite"
            path = "{home}/elsewhere"
            [env.c]
            store = "sqlite"
            path = "~/tilde"
            [env.d]
            store = "sqlite"
            key = "keyring"
            """,
        )
        found = {e.name: (e.directory, e.keyring) for e in resolve_all(load(variables={}), {})}
        data = home / ".local" / "share" / "dynastash"
        assert found == {
            "a": (home / "secrets", False),
            "b": (home / "elsewhere", False),
            "c": (home / "tilde", False),
            "d": (data, True),
            "local": (data, False),
        }

    def test_a_data_directory_of_ones_own(self, home: Path) -> None:
        """DYNASTASH_DATA, relative to the working directory; a path in the file is more particular."""
        text = '[env.a]\nstore = "sqlite"\n[env.b]\nstore = "sqlite"\npath = "p"'
        here = Path.cwd()
        for given, expected in (("data", here / "data"), ("~/data", home / "data"), ("/data", Path("/data"))):
            assert of(text, "a", variables={"DYNASTASH_DATA": given}).directory == expected
            assert of(text, "b", variables={"DYNASTASH_DATA": given}).directory == here / "p"

    @pytest.mark.parametrize("setting", ["path", "state"])
    @pytest.mark.parametrize("text", ["~nobody-of-that-name/x", "a\\u0000b"])
    def test_a_path_that_cannot_be_is_no_traceback(self, setting: str, text: str) -> None:
        """A user who does not exist raised RuntimeError; a zero byte came as far as the file system, as ValueError."""
        with pytest.raises(ConfigError, match="is not a path"):
            of(f'[env.a]\nstore = "sqlite"\n{setting} = "{text}"', "a")

    def test_directories_are_absolute(self, home: Path) -> None:
        """Whatever the configuration file was called by: the process may go elsewhere later."""
        write(Path.cwd() / "dynastash.toml", '[env.a]\nstore = "sqlite"\npath = "p"')
        directory = resolve("a", variables={"DYNASTASH_CONFIG": "dynastash.toml"}).directory
        assert directory == Path.cwd() / "p"
        assert resolve("local", variables={}, overrides={"path": "q"}).directory == Path.cwd() / "q"

    def test_variables_for_aws_do_not_concern_them(self) -> None:
        """DYNASTASH_TABLE may be set for a whole shell."""
        variables = {"DYNASTASH_TABLE": "t", "DYNASTASH_KEY": "k", "DYNASTASH_TRUSTED_KEYS": "x", "AWS_REGION": "r"}
        environment = of("", variables=variables)
        assert (environment.store, environment.table, environment.key, environment.trusted_keys) == (
            "sqlite",
            "",
            "",
            (),
        )

    @pytest.mark.parametrize("setting", ["region", "profile", "role_arn", "endpoint_url", "table"])
    def test_settings_for_aws_are_refused(self, setting: str) -> None:
        """In the file and as arguments: whoever gives one does not mean this machine."""
        with pytest.raises(ConfigError, match=f"is on this machine and takes no {setting}"):
            of("", overrides={setting: "x"})
        with pytest.raises(ConfigError, match=f"environment a is on this machine and takes no {setting}"):
            of(f'[env.a]\nstore = "sqlite"\n{setting} = "x"', "a")

    def test_a_kms_key_is_refused(self) -> None:
        """keyring is the only key that there is to choose."""
        for text, overrides in (('[env.a]\nstore = "sqlite"\nkey = "alias/x"', {}), ("", {"key": "alias/x"})):
            with pytest.raises(ConfigError, match="takes no KMS key"):
                of(text, "a" if text else None, overrides=overrides)
        with pytest.raises(ConfigError, match="takes no trusted_keys"):
            of('[env.a]\nstore = "sqlite"\ntrusted_keys = ["x"]', "a")
        assert of("", overrides={"key": "keyring"}).keyring

    def test_a_path_is_refused_on_aws(self) -> None:
        """It would be ignored."""
        with pytest.raises(ConfigError, match="is on AWS and takes no path"):
            of('[env.a]\npath = "x"', "a")
        with pytest.raises(ConfigError, match="is on AWS and takes no path"):
            of("", "a", overrides={"path": "x"})

    def test_any_environment_can_be_embedded_and_local_need_not(self, tmp_path: Path) -> None:
        """By the file or by an argument."""
        assert of('[env.local]\nstore = "dynamodb"').table == "dynastash-local"
        environment = of("", "test", overrides={"store": "sqlite", "path": str(tmp_path)})
        assert (environment.store, environment.directory) == ("sqlite", tmp_path)
        assert of('[env.a]\nstore = "sqlite"', "a", overrides={"store": "dynamodb"}).table == "dynastash-a"
        with pytest.raises(ConfigError, match="store is not a store"):
            of("", "a", overrides={"store": "redis"})


def test_a_state_file(home: Path) -> None:
    """Relative to the configuration file; in DYNASTASH_STATE, to the working directory. Any environment has one."""
    write(home / "dynastash.toml", '[env.prod]\nstate = "marks"\n[env.local]\nstate = "~/local-marks"')
    assert resolve("prod", variables={}).state == home / "marks"
    assert resolve("local", variables={}).state == home / "local-marks"
    assert resolve("dev", variables={}).state is None
    for name in ("prod", "local", "dev"):
        assert resolve(name, variables={"DYNASTASH_STATE": "here"}).state == Path.cwd() / "here"


def test_nothing_is_read_or_made_for_a_name(home: Path) -> None:
    """Resolving has no effect on the disk."""
    resolve("prod", variables={})
    resolve(variables={})
    assert sorted(path.relative_to(home).as_posix() for path in home.rglob("*")) == ["work", "work/deep"]
    assert config.LOCAL == "local"


def test_parameters_of_the_template_are_text_however_they_are_written() -> None:
    environment = of('[env.dev.parameters]\nDays = 7\nMultiRegionKey = true\nContextKeys = "a"\n', "dev")
    assert environment.parameters == {"Days": "7", "MultiRegionKey": "true", "ContextKeys": "a"}


@pytest.mark.parametrize(
    "line", ["parameters = 1", "[env.dev.parameters]\nDays = [1]", "[env.dev.parameters]\nDays = 1.5"]
)
def test_parameters_that_no_template_takes_are_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=r"env.dev.parameters is not a table of text, numbers, true and false"):
        of(f"[env.dev]\n{line}\n", "dev")


# Roles and second Regions

ROLE = "arn:aws:iam::1:role/r"


def test_how_to_assume_a_role(tmp_path: Path) -> None:
    """Each setting of the file's, and of arguments as text."""
    (tmp_path / "dynastash.toml").write_text(
        '[env.prod]\nrole_arn = "arn:aws:iam::1:role/r"\nexternal_id = "tenant-7"\nduration_seconds = 900\n'
        'mfa_serial = "arn:aws:iam::1:mfa/ada"\nrole_session_name = "ada"\n'
        'region = "eu-west-1"\nread_region = "eu-central-1"\nread_endpoint_url = "https://replica"\n'
    )
    configuration = load(tmp_path, {})
    aws = resolve("prod", configuration=configuration, variables={}).aws
    assert (aws.external_id, aws.duration_seconds, aws.role_session_name) == ("tenant-7", 900, "ada")
    assert (aws.mfa_serial, aws.read_region, aws.read_endpoint_url) == (
        "arn:aws:iam::1:mfa/ada",
        "eu-central-1",
        "https://replica",
    )
    more = {"duration_seconds": "3600"}
    assert resolve("prod", configuration=configuration, variables={}, overrides=more).aws.duration_seconds == 3600


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"external_id": "tenant-7"}, "has external_id and no role_arn"),
        ({"mfa_serial": "arn:aws:iam::1:mfa/ada"}, "has mfa_serial and no role_arn"),
        ({"role_session_name": "ada"}, "has role_session_name and no role_arn"),
        ({"duration_seconds": "900"}, "has duration_seconds and no role_arn"),
        ({"role_arn": ROLE, "duration_seconds": "899"}, "duration_seconds is out of range"),
        ({"role_arn": ROLE, "duration_seconds": "43201"}, "duration_seconds is out of range"),
        ({"role_arn": ROLE, "duration_seconds": "an hour"}, "duration_seconds is out of range"),
        ({"role_arn": ROLE, "external_id": "a b"}, "external_id of environment prod is not one"),
        ({"role_arn": ROLE, "role_session_name": "a\n"}, "role_session_name of environment prod is not one"),
        ({"role_arn": ROLE, "mfa_serial": "short"}, "mfa_serial of environment prod is not one"),
        ({"role_arn": "reader"}, "role_arn of environment prod is not one"),
        ({"role_arn": "arn:aws:iam::1:user/ada"}, "role_arn of environment prod is not one"),
        ({"read_endpoint_url": "https://replica"}, "has read_endpoint_url and no read_region"),
        ({"region": "eu-west-1", "read_region": "eu-west-1"}, "while eu-west-1 is out of reach"),
    ],
)
def test_settings_without_effect_or_sense_are_refused(settings: dict[str, str], message: str, tmp_path: Path) -> None:
    """Somebody relies on them."""
    with pytest.raises(ConfigError, match=message) as caught:
        resolve("prod", configuration=load(tmp_path, {}), variables={}, overrides=settings)
    assert caught.value.hint


def test_a_duration_is_a_number_in_the_file(tmp_path: Path) -> None:
    """And the error says so."""
    (tmp_path / "dynastash.toml").write_text('[env.prod]\nduration_seconds = "900"\n')
    with pytest.raises(ConfigError, match="duration_seconds is not a whole number"):
        load(tmp_path, {})

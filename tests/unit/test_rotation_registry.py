"""Rotators by name: our own, other packages', and what a broken one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynastash.errors import ConfigError
from dynastash.generate import Password
from dynastash.rotation import registry
from dynastash.rotation.command import CommandRotator
from dynastash.rotation.generate import GenerateRotator

MODULE = """
class VaultRotator:
    pass

NUMBER = 7
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Puts a package with these entry points where Python looks for installed ones."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(package: str, entry_points: str, module: str = MODULE) -> None:
        metadata = tmp_path / f"{package}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[dynastash.rotators]\n{entry_points}\n")
        (tmp_path / f"{package}.py").write_text(module)

    return put


def test_our_own_rotators_are_found_by_name() -> None:
    assert {"command", "generate"} <= set(registry.names())
    assert registry.load("generate") is GenerateRotator
    assert registry.load("command") is CommandRotator
    registry.load("generate")(Password())


def test_another_packages_rotator_is_found(install: object) -> None:
    install("example_vault", "vault = example_vault:VaultRotator")  # type: ignore[operator]
    assert {"command", "generate", "vault"} <= set(registry.names())
    assert list(registry.names()) == sorted(registry.names())
    assert registry.load("vault").__name__ == "VaultRotator"


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(ConfigError, match="no rotator 'vault'") as refused:
        registry.load("vault")
    assert refused.value.hint == f"installed are {', '.join(registry.names())}"


@pytest.mark.parametrize(
    ("target", "module"),
    [
        ("example_broken:Rotator", "raise RuntimeError('no such driver')"),
        ("example_broken:Rotator", "import example_driver_that_is_missing"),
        ("example_broken:Rotator", "def"),
        ("example_broken:Missing", MODULE),
        ("example_broken:NUMBER", MODULE),
    ],
)
def test_a_broken_rotator_is_named_with_its_package(install: object, target: str, module: str, tmp_path: Path) -> None:
    """Its module raises, does not import, is no Python, lacks the name, or has something else under it."""
    package = f"example_broken_{tmp_path.name}"
    install(package, f"broken = {target.replace('example_broken', package)}", module)  # type: ignore[operator]
    assert "broken" in registry.names()
    with pytest.raises(ConfigError, match=f"'broken' of {package}"):
        registry.load("broken")


def test_a_name_that_two_packages_claim_is_neithers(install: object) -> None:
    """Not even ours: what takes credentials must not depend on what was installed first."""
    install("example_thief", "command = example_thief:VaultRotator")  # type: ignore[operator]
    with pytest.raises(ConfigError, match="more than once: dynastash, example_thief"):
        registry.load("command")


def test_the_same_installation_seen_twice_is_one(install: object) -> None:
    install("example_twin", "command = dynastash.rotation.command:CommandRotator")  # type: ignore[operator]
    assert registry.load("command") is CommandRotator

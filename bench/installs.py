"""dynastash and its peers, each in an environment of its own under .bench/, made once and kept."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
HOME: Final = ROOT / ".bench"
_PYTHON_PEERS: Final = {"credstash": ("credstash==1.17.1",), "awscli": ("awscli",)}
_NODE_PEERS: Final = ("nodecredstash@2.0.2", "credstash@1.0.44")
_QUIET: Final = ("--quiet", "--disable-pip-version-check")


@dataclass(frozen=True, slots=True)
class Installed:
    """Where everything is. ``node`` and ``modules`` are None without Node, ``gcredstash`` without that."""

    dynastash: Path
    credstash: Path
    awscli: Path
    node: str | None
    modules: Path | None
    gcredstash: str | None

    def versions(self) -> dict[str, str]:
        """What is measured: each package's version."""
        found = {}
        for name, environment in (
            ("dynastash", self.dynastash),
            ("credstash", self.credstash),
            ("awscli", self.awscli),
        ):
            listed = _output(environment / "bin/python", "-m", "pip", "list", "--format=freeze")
            packages = dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)
            for package in (name, "boto3", "botocore", "cryptography"):
                if package in packages:
                    found[package if package == name else f"{package} beside {name}"] = packages[package]
        found["python"] = sys.version.split()[0]
        if self.node:
            found["node"] = _output(self.node, "--version").strip()
            for peer in _NODE_PEERS:
                package, version = peer.split("@")
                found[package if package == "nodecredstash" else f"npm {package}"] = version
        return found


def install() -> Installed:
    """Make what is missing; dynastash is built anew whenever its sources have changed."""
    HOME.mkdir(exist_ok=True)
    for name, requirements in _PYTHON_PEERS.items():
        _python_environment(name, requirements)
    node, npm = shutil.which("node"), shutil.which("npm")
    modules = None
    if node and npm:
        modules = HOME / "node/node_modules"
        _once(HOME / "node", _NODE_PEERS, [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix"])
    _dynastash()
    return Installed(
        dynastash=HOME / "dynastash",
        credstash=HOME / "credstash",
        awscli=HOME / "awscli",
        node=node if modules else None,
        modules=modules,
        gcredstash=shutil.which("gcredstash"),
    )


def _python_environment(name: str, requirements: Sequence[str]) -> None:
    place = HOME / name
    if not (place / "bin/python").exists():
        _run(sys.executable, "-m", "venv", place)
    _once(place, requirements, [place / "bin/python", "-m", "pip", "install", *_QUIET], place=False)


def _dynastash() -> None:
    """A wheel, because an editable installation starts more slowly than what users get."""
    sources = hashlib.sha256()
    for path in sorted([*ROOT.glob("dynastash/**/*.py"), *ROOT.glob("cloudformation/*"), ROOT / "pyproject.toml"]):
        if path.is_file():
            sources.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    stamp = HOME / "dynastash.stamp"
    if stamp.exists() and stamp.read_text() == sources.hexdigest():
        return
    print("building and installing dynastash", file=sys.stderr)
    place, wheels = HOME / "dynastash", HOME / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    # setuptools would put what an earlier build left behind into the wheel: it builds in a copy.
    copy = HOME / "source"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / "dynastash", copy / "dynastash", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "cloudformation", copy / "cloudformation", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy)
    _run(sys.executable, "-m", "pip", "wheel", *_QUIET, "--no-build-isolation", "--no-deps", "-w", wheels, copy)
    if not (place / "bin/python").exists():
        _run(sys.executable, "-m", "venv", place)
    (wheel,) = wheels.glob("*.whl")
    pip = (place / "bin/python", "-m", "pip", "install", *_QUIET)
    _run(*pip, wheel)
    _run(*pip, "--force-reinstall", "--no-deps", wheel)
    stamp.write_text(sources.hexdigest())


def _once(directory: Path, requirements: Sequence[str], command: Sequence[str | Path], *, place: bool = True) -> None:
    stamp = directory / ".requirements"
    if stamp.exists() and stamp.read_text() == "\n".join(requirements):
        return
    print(f"installing {' '.join(requirements)}", file=sys.stderr)
    directory.mkdir(exist_ok=True)
    _run(*command, *([directory] if place else []), *requirements)
    stamp.write_text("\n".join(requirements))


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


def _output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

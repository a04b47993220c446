"""Fuzz the parsers with atheris: ``python -m tests.fuzz [TARGET …] --seconds N``; ``pip install -e '.[fuzz]'`` before.

Each target begins with the corpus that is kept in tests/fuzz/corpus and with its seeds, and runs in a process of its
own, with coverage of dynastash to guide it. The first input that lets anything but our own errors out ends it with exit
code 1 and the line that repeats it. ``--keep`` puts what goes a new way into the corpus.
"""

from __future__ import annotations

import argparse
import base64
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz import corpus


def main(arguments: list[str]) -> int:
    """Fuzz one target after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="all of them by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--runs", type=int, default=-1, help="for each target, if that comes first")
    parser.add_argument("--keep", action="store_true", help="keep the inputs that go a way of their own")
    parser.add_argument("--replay", metavar="BASE64", help="run one input, without atheris")
    parser.add_argument("--list", action="store_true", help="print the targets")
    parser.add_argument("--inside", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        _fuzz(options.inside[0], options.inside[1:])
    if options.replay is not None:
        return _replay(options.targets, base64.b64decode(options.replay))
    from tests.fuzz.targets import TARGETS

    if options.list:
        print("\n".join(f"{name}\t{(target.run.__doc__ or '').strip()}" for name, target in TARGETS.items()))
        return 0
    unknown = sorted(set(options.targets) - set(TARGETS))
    if unknown:
        parser.error(f"{unknown[0]} is not a target: use {', '.join(TARGETS)}")
    codes = [
        _run(name, TARGETS[name].seeds(), options.seconds, options.runs, options.keep)
        for name in options.targets or TARGETS
    ]
    return max(codes)


def _run(name: str, seeds: Sequence[bytes], seconds: int, runs: int, keep: bool) -> int:
    with tempfile.TemporaryDirectory() as directory:
        known, found = Path(directory, "known"), Path(directory, "found")
        known.mkdir()
        found.mkdir()
        for number, data in enumerate([*corpus.load(name), *seeds]):
            (known / str(number)).write_bytes(data)
        limits = [f"-max_total_time={seconds}", f"-runs={runs}", "-max_len=8192", f"-artifact_prefix={directory}/"]
        done = _inside(name, *limits, str(found), str(known))
        count = re.findall(r"^Done (\d+) runs in (\d+) second", done.stderr, re.MULTILINE)
        if done.returncode or not count:
            print(done.stdout + done.stderr[-6000:])
            for path in sorted(Path(directory).glob("*-*")):
                data = base64.b64encode(path.read_bytes()).decode("ascii")
                print(f"repeat it with: python -m tests.fuzz {name} --replay {data}")
            return 1
        print(f"{name}: {int(count[-1][0]):,} executions in {count[-1][1]} s, 0 findings", flush=True)
        if keep:
            inputs = [path.read_bytes() for path in (*known.iterdir(), *found.iterdir())]
            print(f"{name}: {corpus.save(name, _reaching(name, inputs))} inputs kept", flush=True)
        return 0


def _reaching(name: str, inputs: Iterable[bytes]) -> Iterator[bytes]:
    """Those of ``inputs`` that go some way through dynastash that none of the shorter ones goes."""
    from tests.fuzz.targets import TARGETS

    steps: set[tuple[str, int, int]] = set()

    def enter(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if "/dynastash/" not in file:
            return None
        before = 0

        def line(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
            nonlocal before
            steps.add((file, before, frame.f_lineno))
            before = frame.f_lineno
            return line

        return line

    for data in sorted(inputs, key=len):
        known = len(steps)
        sys.settrace(enter)
        try:
            TARGETS[name](data)
        finally:
            sys.settrace(None)
        if len(steps) > known:
            yield data


def _inside(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz", "--inside", name, *options]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def _fuzz(name: str, options: list[str]) -> None:
    """Does not return: the fuzzer ends the process."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install -e '.[fuzz]'")
    with atheris.instrument_imports(include=["dynastash"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


def _replay(names: list[str], data: bytes) -> int:
    from tests.fuzz.targets import TARGETS

    for name in names:
        TARGETS[name](data)
        print(f"{name}: nothing but our own errors")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Each target on the corpus that the fuzzer left, and on small changes to it.

``python -m tests.fuzz`` looks for more.
"""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from tests.fuzz import corpus
from tests.fuzz.targets import TARGETS

MUTANTS = 400  # for each target


@pytest.mark.parametrize("name", TARGETS)
def test_only_our_errors_come_out(name: str) -> None:
    """Of everything that is kept."""
    kept = corpus.load(name)
    assert kept or TARGETS[name].seeds(), f"python -m tests.fuzz {name} --keep makes a corpus"
    for data in [*kept, *TARGETS[name].seeds(), b""]:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_nor_of_what_is_close_to_it(name: str) -> None:
    """Bytes flipped, dropped, doubled, and pieces of two inputs together; the same ones on every run."""
    chance = random.Random(name)
    pool = [data for data in [*corpus.load(name), *TARGETS[name].seeds()] if data]
    for _ in range(MUTANTS):
        TARGETS[name](_changed(bytearray(chance.choice(pool)), chance.choice(pool), chance))


def _changed(data: bytearray, other: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at, until = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        piece = bytes(data[at:until])
        match chance.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : min(until, at + 8)]
            case 2:
                data[at:at] = piece[:64]
            case 3:
                data[at:until] = other[at:until]
            case 4:
                data[at:at] = chance.choice([b"\xff", b"\0", b'"', b"{", b"9" * 20, b"\n", b"\\ud800", b"="])
    return bytes(data)


def test_inputs_are_small_and_kept_once() -> None:
    """The repository is no place for a fuzzer's leavings."""
    for path in corpus.DIRECTORY.iterdir():
        inputs = corpus.load(path.stem)
        assert path.stem in TARGETS
        assert len(set(inputs)) == len(inputs) <= corpus.MAX_INPUTS
        assert max(map(len, inputs)) <= corpus.MAX_INPUT


def test_an_error_that_is_not_ours_is_told() -> None:
    """The harness lets nothing else through."""
    with pytest.raises(ZeroDivisionError):
        type(TARGETS["item"])(lambda data: 1 // 0, list)(b"")


def test_the_command_lists_what_there_is() -> None:
    """Without atheris."""
    done = subprocess.run([sys.executable, "-m", "tests.fuzz", "--list"], capture_output=True, text=True, check=True)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == list(TARGETS)

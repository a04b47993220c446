"""What `run --mask` costs: bytes a second through the filter, and what begins a program with it.

``python -m bench.masking`` prints one line for each number of secrets: how long the patterns take to build, and how
fast a log goes through in pieces of 64 KiB and of 100 bytes, by the processor's own time.
"""

from __future__ import annotations

import random
import string
import time

from dynastash.masking import Mask

WORDS = (
    "GET",
    "/index.html",
    "200",
    "request",
    "took",
    "ms",
    "user=ada",
    "session",
    "connection",
    "closed",
    "INFO",
    "-",
)


def log(size: int, values: list[bytes], chance: random.Random) -> bytes:
    """Lines as a server writes them, every thousandth with a value in it."""
    lines: list[bytes] = []
    while sum(map(len, lines[-1000:])) * max(1, len(lines) // 1000) < size:
        words = [chance.choice(WORDS) for _ in range(14)]
        line = (
            f"2026-11-25T19:00:00.{chance.randrange(1000):03d}Z {' '.join(words)} {chance.randrange(10**9)}\n".encode()
        )
        lines.append(line)
        if len(lines) % 1000 == 0:
            lines.append(b"password is " + chance.choice(values) + b"\n")
    return b"".join(lines)[:size]


def rate(values: list[bytes], text: bytes, piece: int) -> float:
    """MB for each second of the processor, the best of three."""
    best = 0.0
    for _ in range(3):
        mask = Mask(values)
        started = time.process_time()
        for start in range(0, len(text), piece):
            mask.feed(text[start : start + piece])
        mask.flush()
        best = max(best, len(text) / (time.process_time() - started) / 1e6)
    return best


def main() -> None:
    chance = random.Random(1)  # the same text each time
    print("secrets  build ms  64 KiB MB/s  100 B MB/s")
    for count in (1, 25, 500):
        values = ["".join(chance.choices(string.ascii_letters + string.digits, k=32)).encode() for _ in range(count)]
        text = log(8 << 20, values, chance)
        started = time.process_time()
        Mask(values)
        built = (time.process_time() - started) * 1000
        print(f"{count:7}  {built:8.1f}  {rate(values, text, 65536):11.0f}  {rate(values, text[: 1 << 20], 100):10.1f}")


if __name__ == "__main__":
    main()

"""How a value looks when a program prints it encoded: in base64, in a URL, as a JSON string, quoted for a shell.

Encoders differ in what they leave alone. Listed here is what common ones make of a value; what is the same in several
comes once.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

_URL_SAFE: Final = (
    "",  # Python's quote(safe="")
    "/",  # quote()
    "!'()*",  # JavaScript's encodeURIComponent
    ";,/?:@&=+$!*'()#",  # JavaScript's encodeURI
)
_WIDTHS: Final = (76, 64)
"""Lines of base64 as MIME and ``base64`` have it, and as PEM has it."""


def encoded(value: bytes) -> set[bytes]:
    """``value`` in every encoding that is looked for, save where that leaves it as it is."""
    return {*_base64(value), *_in_url(value), *_in_json(value), *_in_shell(value)} - {value, b""}


def texts_within(value: bytes) -> Iterator[bytes]:
    """The texts in a value that is JSON: what a program prints that takes it apart."""
    if value[:1] not in (b"{", b"["):
        return
    try:
        found: Any = json.loads(value)
    except (ValueError, RecursionError):
        return
    left = [found]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each.encode("utf-8", "surrogatepass")
        elif isinstance(each, dict):
            left += each.values()
        elif isinstance(each, list):
            left += each


def _base64(value: bytes) -> Iterator[bytes]:
    """In the standard and the URL alphabet, alone and at each place within something longer, and in lines.

    Within something longer the characters at both ends hold bits of its neighbours too, and are left out.
    """
    for before in range(3):
        text = base64.b64encode(bytes(before) + value)
        bare = text.rstrip(b"=")
        inside = bare[(0, 2, 3)[before] : (before + len(value)) * 8 // 6]
        for form in (inside, bare[(0, 2, 3)[before] :], text[(0, 2, 3)[before] :]):
            yield form
            yield form.translate(bytes.maketrans(b"+/", b"-_"))
    whole = base64.b64encode(value)
    for width in _WIDTHS:
        if len(whole) > width:
            yield from (whole[start : start + width] for start in range(0, len(whole), width))


def _in_url(value: bytes) -> Iterator[bytes]:
    from urllib.parse import quote, quote_plus

    made = {quote(value, safe) for safe in _URL_SAFE} | {quote_plus(value), quote_plus(value, "*").replace("~", "%7E")}
    for text in made:
        yield text.encode("ascii")
        if "%" in text:
            parts = text.split("%")
            yield "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])]).encode("ascii")


def _in_json(value: bytes) -> Iterator[bytes]:
    """The inside of a JSON string, and of one within another."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield once.encode("utf-8")
        yield once.replace("/", "\\/").encode("utf-8")
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1].encode("utf-8")


def _in_shell(value: bytes) -> Iterator[bytes]:
    """Quoted as by ``set -x`` of a POSIX shell and Python's shlex, and with backslashes as by printf's %q."""
    if b"'" in value:
        yield value.replace(b"'", b"'\\''")
        yield value.replace(b"'", b"'\"'\"'")
    if value.isascii():
        special = set(value) - set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-\n")
        if special:
            yield b"".join(b"\\%c" % byte if byte in special else b"%c" % byte for byte in value)

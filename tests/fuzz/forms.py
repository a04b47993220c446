"""Files of secrets in other programs' forms: what is read can be written again, and is read back the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from dynastash.errors import DynastashError
from dynastash.transfer.formats import open_format

SEEDS: Mapping[str, tuple[str, ...]] = {
    "dotenv": ("# c\nexport A=b # c\nB='x\ny'\nC=\"it's\\n\"\n",),
    "docker": ("# x\nA='1' # y\r\n  B=\n",),
    "json": ('{"db": {"user": "u", "x/y": "\\ud83d\\ude00"}, "a": ""}', '{"a": 1}'),
    "yaml": (
        "db:\n  user: u\n  pw: 'no'\na: >-\n  b\n  c\n",
        'a: "\\x41\\u00e9"\nb: &x y\nc: *x\n',
        "{a: {b: 'c'}}\n---\n",
    ),
    "csv": ('\ufeffname,value\r\na,"b,""c"""\r\n\r\nd,\r\n',),
    "properties": ("# x\n! y\na : b\\\n   c\nd=\\u00e9\\ne\\q\\ud83d\\ude00\nf\n",),
    "shell": ("# x\nexport A='b'\\''c'\nB=x1 # y\nC=\n",),
    "powershell": ("# x\n$env:A = 'b''c' + [char]0xE9 + [char]0xD83D + [char]0xDE00\r\n",),
    "kubernetes": (
        "kind: Secret\ndata:\n  a: eA==\nstringData:\n  b: |\n    why\n",
        '{"kind": "Secret", "data": {"a": ""}}',
    ),
    "tfvars": ('# x\na = "b$${c}\\u00e9\\U0001f511\\n" // y\n', 'a="%%{" # x'),
}


def target(form: str) -> Callable[[bytes], object]:
    """What is fuzzed of ``form``."""

    def run(data: bytes) -> None:
        made = open_format(form)
        entries = made.read(data)
        with suppress(DynastashError):
            written = made.write(entries, name="app1")
            again = made.read(written)
            assert [(each.key, each.value) for each in again] == [(each.key, each.value) for each in entries]

    run.__doc__ = f"A file in the form {form}."
    return run

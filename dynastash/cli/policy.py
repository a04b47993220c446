"""Options that say how a new value is made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from dynastash.cli.command import PolicyOption
from dynastash.cli.options import Whole
from dynastash.generate import ALGORITHMS, ALPHABETS, ENCODINGS, KeyPair, Passphrase, Password, Policy, RandomBytes

_F = TypeVar("_F", bound=Callable[..., Any])

# Option → the kinds of policy that it belongs to, and the setting that it is there.
_SETTINGS: Final[dict[str, tuple[tuple[type[Policy], ...], str]]] = {
    "length": ((Password,), "length"),
    "alphabet": ((Password,), "alphabet"),
    "each_class": ((Password,), "each_class"),
    "words": ((Passphrase,), "words"),
    "separator": ((Passphrase,), "separator"),
    "bytes": ((RandomBytes,), "count"),
    "key_pair": ((KeyPair,), "algorithm"),
    "encoding": ((KeyPair,), "encoding"),
    "allow_weak": ((Password, Passphrase), "allow_weak"),
}


def policy_options(command: _F) -> _F:
    """Give a command the options; :func:`take_policy` reads them."""
    option = functools.partial(click.option, cls=PolicyOption)
    options = (
        option("--length", type=Whole(1), metavar="N", help="A password of N characters.  [default: 32]"),
        option(
            "--alphabet",
            metavar="SET",
            help=f"Its characters: {', '.join(ALPHABETS)}, or chars: and your own.  [default: alphanumeric]",
        ),
        option("--each-class", is_flag=True, help="At least one character of each class that the alphabet has."),
        option("--words", type=Whole(1), metavar="N", help="A passphrase of N words instead of a password."),
        option("--separator", metavar="TEXT", help="Between its words.  [default: -]"),
        option("--bytes", type=Whole(1), metavar="N", help="N random bytes."),
        option(
            "--key-pair",
            type=click.Choice(tuple(ALGORITHMS)),
            metavar="KIND",
            help=f"A private key: {', '.join(ALGORITHMS)}.",
        ),
        option(
            "--encoding",
            type=click.Choice(ENCODINGS),
            metavar="FORM",
            help=f"How the private key is written: {' or '.join(ENCODINGS)}.  [default: {ENCODINGS[0]}]",
        ),
        option("--allow-weak", is_flag=True, help="Accept fewer than 64 bits of entropy, as for a PIN."),
    )
    for each in reversed(options):
        command = each(command)
    return command


def take_policy(given: dict[str, Any]) -> Policy | None:
    """The policy that the options in ``given`` spell, or None where there are none. They are taken out of ``given``."""
    asked = {name: given.pop(name) for name in _SETTINGS}
    asked = {name: value for name, value in asked.items() if value not in (None, False)}
    if not asked:
        return None
    fitting = set.intersection(*(set(_SETTINGS[name][0]) for name in asked))
    if not fitting:
        options = " and ".join("--" + name.replace("_", "-") for name in asked)
        raise click.UsageError(f"{options} do not go together: they are of different kinds of value")
    # --allow-weak alone fits two kinds; a password is the usual one.
    kind = Password if Password in fitting else fitting.pop()
    return kind(**{_SETTINGS[name][1]: value for name, value in asked.items()})

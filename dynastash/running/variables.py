"""Which variable a secret becomes, and which ones nobody else may choose."""

from __future__ import annotations

import re
from typing import Final

from dynastash.dotenv import NAME
from dynastash.errors import InvalidArgumentError

LOCAL_KEY: Final = "DYNASTASH_LOCAL_KEY"
"""The key to all secrets of an embedded environment: a program gets those it was meant to have, and not this."""

_STEERING: Final = re.compile(
    "PATH|ENV|IFS|SHELL|SHELLOPTS|BASHOPTS|BASH_ENV|BASH_FUNC.*|PS4|PROMPT_COMMAND|ZDOTDIR|EDITOR|VISUAL|PAGER|DYNASTASH_.*"
    "|LD_.*|DYLD_.*|GCONV_PATH|GLIBC_TUNABLES|NLSPATH|LOCPATH|OPENSSL_(CONF|ENGINES|MODULES)|PYTHON[A-Z]+|PERL5(LIB|OPT|DB)"
    "|PERLLIB|RUBY(OPT|LIB)|NODE_(OPTIONS|PATH)|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|LUA_(INIT|PATH|CPATH).*"
    "|GIT_(SSH|SSH_COMMAND|ASKPASS|EXEC_PATH|CONFIG.*|PROXY_COMMAND|EXTERNAL_DIFF|EDITOR|PAGER|TEMPLATE_DIR)"
)


def check_variable(variable: str) -> str:
    """Return ``variable`` unchanged if it can name one: letters, digits and ``_``, no digit first."""
    if not NAME.fullmatch(variable):
        shown = repr(variable)
        raise InvalidArgumentError(
            f"{shown if len(shown) <= 60 else shown[:60] + '…'} is not a name for a variable",
            hint="use letters, digits and _, no digit first, as in DB_PASSWORD",
        )
    return variable


def variable_of(name: str, prefix: str) -> str:
    """The variable for the secret ``name``, found under ``prefix``: ``app1/db-1/password`` is ``DB_1_PASSWORD``.

    ``prefix`` and any ``/`` that follows are left out, letters become upper case, everything but letters and digits
    ``_``, and a digit in front gets one before it. Names that steer the dynamic loader, a shell or an interpreter are
    refused: whoever may write a secret would otherwise run code in the program that reads it.
    """
    rest = name.removeprefix(prefix).lstrip("/")
    if not rest:
        raise InvalidArgumentError(
            f"nothing of {name} is left for a variable's name without the prefix {prefix}",
            hint=f"name it, as in --secret NAME={name}, and make the prefix longer, or add --keep-prefix",
        )
    variable = re.sub("[^A-Z0-9]", "_", rest.upper())
    if variable[0].isdigit():
        variable = f"_{variable}"
    if _STEERING.fullmatch(variable):
        raise InvalidArgumentError(
            f"{name} would be the variable {variable}, which steers other programs",
            hint=f"if that is meant, say so with --secret {variable}={name} and a prefix without it",
        )
    return variable


def key_of(name: str, prefix: str) -> str:
    """What the secret ``name``, found under ``prefix``, is called where names need not be variables."""
    rest = name.removeprefix(prefix).lstrip("/")
    if not rest:
        raise InvalidArgumentError(
            f"nothing of {name} is left without the prefix {prefix}",
            hint="make the prefix shorter, or add --keep-prefix",
        )
    return rest

"""``dynastash completion``, and the answers to a shell that asks what could stand next.

The script of each shell calls dynastash with the command line up to the cursor in ``COMP_LINE`` and the shell's name
in ``_DYNASTASH_COMPLETE``. The answer is a line for each possible word, in zsh and fish with a description behind a
tab; the one line ``:files`` leaves it to the shell. Nothing is ever said on stderr: a prompt is no place to complain.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from dynastash.cli import completing
from dynastash.cli.command import Command
from dynastash.cli.output import write_text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Bash takes what stands behind the last of COMP_WORDBREAKS (: = @ …, which names may have) for the word to complete.
# Written for bash 3.2 too, which macOS has: no mapfile, and no compopt.
_BASH: Final = r"""_dynastash() {
    local IFS=$'\n'
    COMPREPLY=($(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
        _DYNASTASH_COMPLETE=bash "$1" 2>/dev/null))
    if [ "${COMPREPLY[0]}" = ":files" ]; then
        compopt -o filenames 2>/dev/null
        local word="${COMP_WORDS[COMP_CWORD]}"
        COMPREPLY=($(compgen -f -- "${word#=}"))
    fi
}
complete -F _dynastash dynastash
"""

_ZSH: Final = r"""#compdef dynastash
_dynastash() {
    local -a lines items
    local line value
    lines=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" _DYNASTASH_COMPLETE=zsh $words[1] 2>/dev/null)}")
    if [[ $lines[1] == ":files" ]]; then
        [[ $PREFIX == --*=* ]] && compset -P 1 '*='
        _files
        return
    fi
    for line in $lines; do
        value=${line%%$'\t'*}
        items+=("${value//:/\\:}${${line#$value}/$'\t'/:}")
    done
    (( $#items )) && _describe -V dynastash items
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _dynastash "$@"
else
    compdef _dynastash dynastash
fi
"""

_FISH: Final = r"""function __dynastash_complete
    set -l lines (env COMP_LINE=(commandline -cp | string collect) _DYNASTASH_COMPLETE=fish dynastash 2>/dev/null)
    if test "$lines[1]" = ":files"
        set -l option (commandline -ct | string match -r '^--[^=]*=')
        for path in (__fish_complete_path (commandline -ct | string replace -r '^--[^=]*=' ''))
            printf '%s%s\n' "$option" $path
        end
    else
        string join \n -- $lines
    end
end
complete -c dynastash -f -a '(__dynastash_complete)'
"""

_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@click.command(
    "completion",
    cls=Command,
    examples=(
        'eval "$(dynastash completion bash)"    # in ~/.bashrc',
        'eval "$(dynastash completion zsh)"     # in ~/.zshrc, behind compinit',
        "dynastash completion fish > ~/.config/fish/completions/dynastash.fish",
    ),
)
@click.argument("shell", metavar="SHELL", type=click.Choice(tuple(_SCRIPTS)))
def completion_command(shell: str) -> None:
    """Print a script for SHELL that completes commands, options and names.

    SHELL is bash, zsh or fish. Names of secrets come from the environment that the command line, DYNASTASH_ENV or
    dynastash.toml chooses.
    """
    write_text(_SCRIPTS[shell])


def answer(app: click.Command, shell: str) -> int:
    """Print what could stand at the cursor of ``COMP_LINE``; 0, or 1 where that could not be found out."""
    try:
        words = completing.split(os.environ.get("COMP_LINE", ""))
        incomplete = words.pop()
        option, equals, _ = incomplete.partition("=")
        before = option + equals if equals and option.startswith("--") else ""
        items = _items(app, words[1:], incomplete)
        if any(item.type == "file" for item in items):
            write_text(":files\n")
            return 0
        completing.offer(shell, incomplete, [(before + item.value, item.help) for item in items])
    except (Exception, KeyboardInterrupt):
        return 1
    return 0


def _items(app: click.Command, words: list[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import ShellComplete

    # click adds to the list that it is given.
    return ShellComplete(app, {}, "dynastash", "").get_completions(list(words), incomplete)

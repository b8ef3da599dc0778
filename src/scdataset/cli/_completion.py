"""``scdataset completion``: completion of commands, options and files for a shell, from the parser itself.

The script is static, so that a key press starts no Python.
"""

import argparse
import sys
from collections.abc import Mapping

from scdataset.cli._arguments import Commands, add_command

__all__ = ["add"]

_SHELLS = ("bash", "zsh", "fish")


def add(commands: Commands) -> None:
    """Add the command to the parser of all."""
    completion = add_command(
        commands,
        "completion",
        summary="write the completion of commands and options for a shell",
        description="Write a script that completes commands, options and files in a shell.",
        examples=(
            "source <(scdataset completion bash)    # in ~/.bashrc, as for zsh in ~/.zshrc",
            "scdataset completion fish > ~/.config/fish/completions/scdataset.fish",
        ),
    )
    completion.add_argument("shell", choices=_SHELLS, help="the shell")
    completion.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    options = {name: _options(parser) for name, parser in arguments.parsers.items()}
    sys.stdout.write(
        _fish(arguments.parsers, options) if arguments.shell == "fish" else _bash(options, arguments.shell)
    )
    return 0


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the long options of a command, and the values of an argument that has a list of them."""
    actions = parser._actions  # noqa: SLF001 argparse lists them nowhere else
    values = [str(choice) for action in actions if not action.option_strings for choice in action.choices or ()]
    return values + [name for action in actions for name in action.option_strings if name.startswith("--")]


def _bash(options: Mapping[str, list[str]], shell: str) -> str:
    cases = "".join(f"        {name}) words='{' '.join(words)}' ;;\n" for name, words in options.items())
    head = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n" if shell == "zsh" else ""
    return f"""{head}_scdataset() {{
    local words current="${{COMP_WORDS[COMP_CWORD]}}"
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{" ".join(options)} --help --version' -- "$current"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{cases}    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    case "$current" in
        -*) ;;
        *) [ "${{COMP_WORDS[1]}}" = completion ] || COMPREPLY=($(compgen -f -- "$current")) ;;
    esac
}}
complete -o filenames -F _scdataset scdataset
"""


def _fish(parsers: Mapping[str, argparse.ArgumentParser], options: Mapping[str, list[str]]) -> str:
    lines = [f"complete -c scdataset -n __fish_use_subcommand -f -a {name}" for name in parsers]
    for name, words in options.items():
        for word in words:
            what = f"-l {word[2:]}" if word.startswith("--") else f"-f -a {word}"
            lines.append(f"complete -c scdataset -n '__fish_seen_subcommand_from {name}' {what}")
    return "\n".join(lines) + "\n"

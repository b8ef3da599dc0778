"""Completion in a shell: the scripts complete commands, options and files."""

import shutil
import subprocess

import pytest

from scdataset.cli import _entry, main


def script(shell, capsys):
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def complete(text, words, folder):
    """Return the completions of bash for the last of some words."""
    quoted = " ".join(f"'{word}'" for word in words)
    program = f'{text}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _scdataset; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, cwd=folder, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["scdataset", "b"], ["bench"]),
        (["scdataset", "--v"], ["--version"]),
        (["scdataset", "bench", "--sec"], ["--seconds"]),
        (["scdataset", "completion", "z"], ["zsh"]),
        (["scdataset", "info", "fi"], ["file.h5ad"]),
        (["scdataset", "info", ""], ["file.h5ad"]),
        (["scdataset", "unknown", ""], ["file.h5ad"]),
    ],
)
def test_bash_completes_commands_options_and_files(words, expected, tmp_path, capsys):
    (tmp_path / "file.h5ad").touch()
    assert complete(script("bash", capsys), words, tmp_path) == expected


def test_zsh_takes_the_functions_of_bash(capsys):
    text = script("zsh", capsys)
    assert text.startswith("autoload -U +X compinit bashcompinit")
    assert script("bash", capsys) in text


def test_fish_has_a_line_for_every_command_and_option(capsys):
    lines = script("fish", capsys).splitlines()
    for name in ("info", "check", "bench", "diversity", "demo", "completion"):
        assert f"complete -c scdataset -n __fish_use_subcommand -f -a {name}" in lines
    assert "complete -c scdataset -n '__fish_seen_subcommand_from bench' -l seconds" in lines


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_their_scripts(shell, capsys):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    subprocess.run([shell, "-n", "-c", script(shell, capsys)], check=True)


def test_every_command_is_completed(capsys):
    names = set(_entry.parser().parse_args(["completion", "bash"]).parsers)
    assert all(f" {name})" in script("bash", capsys) for name in names)

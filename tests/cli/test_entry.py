"""The command as a whole: help, version, exit codes, and one line for whatever goes wrong."""

import io
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from tests.children import run

import scdataset
from scdataset.cli import _entry, main
from scdataset.cli._output import Text, show
from scdataset.errors import DamagedFileError


def failing(monkeypatch, error):
    """Let the command ``info`` end in an error."""

    def fail(_):
        raise error

    monkeypatch.setattr(_entry._info, "_run", fail)


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"scdataset {scdataset.__version__}\n"


@pytest.mark.parametrize("command", [c.__name__.rpartition("._")[2].partition("_")[0] for c in _entry._COMMANDS])
def test_the_help_of_each_command_fits_a_terminal_and_has_examples_to_copy(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    examples = shown.partition("examples:\n")[2].replace("\\\n", "")
    words = [re.split(" && | > |[)]", line)[0] for line in re.findall(rf"scdataset {command}.*", examples)]
    assert words
    for line in words:
        assert _entry.parser().parse_args(shlex.split(line)[1:]).run


def test_no_command_is_an_error_that_lists_them(capsys):
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2
    assert "usage: scdataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "scdataset: interrupted\n"),
        (DamagedFileError("a.h5ad: is damaged"), 2, "scdataset: error: a.h5ad: is damaged\n"),
        (DamagedFileError("2 of 3:\n- a\n- b"), 2, "scdataset: error: 2 of 3: - a - b\n"),
        (DamagedFileError("Traceback (most recent call last):\n  x\nE: b"), 2, "scdataset: error: E: b\n"),
        (OSError(28, "No space left on device"), 2, "scdataset: error: [Errno 28] No space left on device\n"),
    ],
)
def test_an_error_is_one_line_and_a_code(monkeypatch, capsys, error, code, said):
    failing(monkeypatch, error)
    assert main(["info", "a.h5ad"]) == code
    assert capsys.readouterr().err == said


def test_a_pipe_that_was_closed_is_left_quietly(tmp_path):
    program = (
        "import os, sys; from scdataset.cli import main, _entry\n"
        "_entry._info._run = lambda _: [print('x' * 100) for _ in range(9999)] and 0\n"
        "reading, writing = os.pipe(); os.close(reading); os.dup2(writing, 1)\n"
        "sys.stdout = open(1, 'w', closefd=False)\n"
        "sys.exit(main(['info', 'a.h5ad']))"
    )
    done = run(program)
    assert (done.status, done.error) == (141, "")


def test_characters_that_stdout_lacks_are_marked_and_no_error(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    monkeypatch.setattr(_entry._info, "_run", lambda _: show([Text("a…b")]) or 0)
    assert main(["info", "a.h5ad"]) == 0
    assert written.getvalue() == b"a?b\n"


def test_a_closed_stdout_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(_entry._info, "_run", lambda _: show([Text("cells")]) or 0)
    assert main(["info", "a.h5ad"]) == 0


def test_an_error_that_an_interrupt_became_is_told_as_one(monkeypatch, capsys):
    def interrupt_import(_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError from None

    monkeypatch.setattr(_entry._info, "_run", interrupt_import)
    assert main(["info", "a.h5ad"]) == 130
    assert capsys.readouterr().err == "scdataset: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_mistake_of_this_package_keeps_its_traceback(monkeypatch):
    failing(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["info", "a.h5ad"])


@pytest.mark.slow
def test_the_command_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "scdataset", "--version"], capture_output=True, text=True, env=os.environ, check=True
    )
    assert done.stdout.startswith("scdataset ")


def test_an_option_that_is_not_there_is_told_with_those_of_the_command_that_are_near(capsys):
    with pytest.raises(SystemExit) as left:
        main(["check", "a.h5ad", "--jsn"])
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert "scdataset check: error: there are no arguments --jsn. Did you mean '--json'?" in told

"""Ctrl-C while packages are imported: one line from the command, and the exception for programs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import scdataset

SLOW = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
"""A package that is interrupted while it is imported."""

SCRIPT = "import sys\nfrom scdataset.cli import main\nsys.exit(main())\n"
"""As an installer writes it."""


def interrupted(folder, *arguments, package=SLOW):
    """Run Python where torch is a package that is interrupted while it is imported."""
    (folder / "torch").mkdir(parents=True)
    (folder / "torch" / "__init__.py").write_text(package)
    path = os.pathsep.join([str(folder), str(Path(scdataset.__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


SWALLOWED = f"try:\n    exec({SLOW!r})\nexcept KeyboardInterrupt:\n    raise ImportError('no datetime')\n"
"""A package that makes another error of that, as imports of compiled modules do."""


@pytest.mark.parametrize("by_module", [False, True])
def test_the_command_says_one_line(tmp_path, by_module):
    script = tmp_path / "scdataset"
    script.write_text(SCRIPT)
    done = interrupted(tmp_path / "packages", *(["-m", "scdataset"] if by_module else [script]), "--version")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "scdataset: interrupted\n")


def test_the_command_says_one_line_where_an_import_makes_another_error_of_it(tmp_path):
    done = interrupted(tmp_path, "-m", "scdataset", "--version", package=SWALLOWED)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "scdataset: interrupted\n")


def test_a_program_that_imports_the_package_gets_the_exception(tmp_path):
    done = interrupted(tmp_path, "-c", "import scdataset")
    assert done.returncode == -signal.SIGINT
    assert done.stderr.endswith("KeyboardInterrupt\n")

"""The examples run as they are, each in a process of its own."""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def packages_of(script):
    """Return the packages that a script imports."""
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_the_example_runs_and_prints_what_it_found(script, tmp_path):
    absent = [name for name in packages_of(script) if find_spec(name) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} is not installed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # tests beside this one have the other cores
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()

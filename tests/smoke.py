"""Install built packages in empty environments, and go through the tutorial there: ``python tests/smoke.py dist/*``."""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

IN_MEMORY = """
import numpy as np
from scdataset import BlockShuffling, __version__, scDataset
rows = np.concatenate(list(scDataset(np.arange(100), BlockShuffling(4), 8)))
assert sorted(rows.tolist()) == list(range(100))
print("scdataset", __version__)
"""


def pinned_torch():
    """Return the torch that the repository is tested with, a build for CPUs where the index has one."""
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def tutorial():
    """Return the code of the tutorial."""
    return "".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text(), re.DOTALL))


def try_out(built):
    """Install without extras and read an array; then with anndata, and do what the tutorial says."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(Path(folder) / "env", with_pip=True)
        python = Path(folder) / "env" / "bin" / "python"

        def run(*command):
            subprocess.run([python, *command], cwd=folder, check=True)

        run("-m", "pip", "install", "--quiet", pinned_torch())
        run("-m", "pip", "install", "--quiet", str(built))
        run("-c", IN_MEMORY)
        run("-m", "pip", "install", "--quiet", f"{built}[anndata]")
        run("-m", "pip", "install", "--quiet", "matplotlib")  # as the tutorial says, for its picture
        run("-c", tutorial())
        run("-m", "scdataset", "info", "atlas.h5ad")


if __name__ == "__main__":
    for package in map(Path, sys.argv[1:]):
        sys.stdout.write(f"{package.name} in an empty environment\n")
        sys.stdout.flush()
        try_out(package.resolve())

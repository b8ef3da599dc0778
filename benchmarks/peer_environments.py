"""Virtual environments of the packages that are compared with, each of its own, made beside the data on first use."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READERS = Path(__file__).parent / "readers"
"""Scripts that run in those environments."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """What to install, in which order, and the Python that it takes; None for any."""

    packages: tuple[tuple[str, ...], ...]
    python: str | None = None


PEERS = {
    "scdataset": _Peer((("torch==2.13.0",), ("scDataset==0.3.0", "anndata==0.12.*", "datasets>=3"))),
    "cellstream": _Peer((("cellstream==0.11.0",),)),
    "s3fs": _Peer((("s3fs==2026.9.0", "h5py"),)),
    "annbatch": _Peer((("annbatch[zarrs]==0.3.1",),), "python3.12"),
}


class MissingPythonError(RuntimeError):
    """No interpreter for a peer."""


class Environments:
    """The environments beside the data.

    Parameters
    ----------
    folder
        Where the data are.
    python312
        A Python 3.12; None for ``python3.12`` on PATH.
    """

    def __init__(self, folder: Path, python312: str | None = None) -> None:
        self._folder = folder
        self._python312 = python312

    def python(self, peer: str) -> Path:
        """Return the interpreter of a peer's environment, made now if it is missing.

        Raises
        ------
        MissingPythonError
            If the peer takes a version of Python that is not here.
        """
        place = self._folder / f"peer-{peer}"
        python, ready = place / "bin" / "python", place / "ready"
        if not ready.exists():
            base = self._base(peer)
            print(f"making {place}", flush=True)  # noqa: T201
            subprocess.run([base, "-m", "venv", "--clear", place], check=True)
            for packages in PEERS[peer].packages:
                subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
            ready.touch()
        return python

    def _base(self, peer: str) -> str:
        wanted = PEERS[peer].python
        if wanted is None:
            return sys.executable
        found = self._python312 or shutil.which(wanted)
        if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode != 0:
            message = f"{peer} takes {wanted}, and {found or 'none on PATH'} does not run; give --python312 PATH."
            raise MissingPythonError(message)
        return found


def run_script(python: Path, script: str, *arguments: object) -> dict[str, Any]:
    """Run a script of `READERS` in a process of its own and return the JSON in the last line that it prints."""
    # A peer must not find the package here by PYTHONPATH: it may have the same name.
    options = [] if str(python) == sys.executable else ["-E"]
    command = [str(python), *options, str(READERS / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}"
        raise RuntimeError(message)
    return dict(json.loads(done.stdout.splitlines()[-1]))

"""Runs a script as a launcher would, in one process or several, and returns what each rank wrote down."""

import json
import subprocess
import sys


def launch(script, folder, processes, *arguments, check=True, timeout=240):
    """Run ``script`` under torchrun; it gets a folder and the arguments, and rank r writes JSON to ``r.json`` there."""
    folder.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "0"]
    command += [
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        "127.0.0.1:0",
        str(script),
        str(folder),
        *map(str, arguments),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if check and run.returncode:
        raise AssertionError(run.stderr[-4000:])
    found = [folder / f"{rank}.json" for rank in range(processes)]
    return [json.loads(path.read_text()) if path.exists() else None for path in found], run

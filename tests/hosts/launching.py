"""Runs a script in one rank or several, as a launcher would, and returns what each rank wrote down."""

import json
import subprocess
import sys
from pathlib import Path

SERVER = Path(__file__).with_name("rank_server.py")


def results(folder, processes):
    """Return the JSON that each rank wrote, or None for a rank that wrote nothing."""
    found = [folder / f"{rank}.json" for rank in range(processes)]
    return [json.loads(path.read_text()) if path.exists() else None for path in found]


def torchrun(script, folder, processes, *arguments):
    """Run ``script`` under torchrun; it gets a folder and the arguments, and rank r writes JSON to ``r.json`` there."""
    folder.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "0"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    command += [str(script), str(folder), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    return results(folder, processes)


class RankServer:
    """Starts ranks from one process that has imported the hosts, with the environment that torchrun gives them."""

    def __init__(self):
        command = [sys.executable, str(SERVER)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, script, folder, processes, *arguments):
        """Run ``script`` as ``torchrun`` does; return each rank's JSON, exit status and error output."""
        folder.mkdir()
        job = {
            "script": str(script),
            "folder": str(folder),
            "processes": processes,
            "arguments": list(map(str, arguments)),
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        statuses = json.loads(self._process.stdout.readline())
        errors = [(folder / f"{rank}.stderr").read_text() for rank in range(processes)]
        return results(folder, processes), statuses, errors

    def __call__(self, script, folder, processes, *arguments):
        """Run ``script`` in ranks that must all succeed; return each rank's JSON."""
        found, statuses, errors = self.run(script, folder, processes, *arguments)
        assert statuses == [0] * processes, "\n".join(error[-4000:] for error in errors)
        return found

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

"""Imports the hosts once, then forks the ranks of each job that comes in: importing them anew takes 10 s a rank."""

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import traceback
from pathlib import Path

import numpy as np

import scdataset

PRELOADED = (
    "torch.nn.parallel",
    "torchdata.stateful_dataloader",
    "pytorch_lightning",
    "scdataset.integrations.lightning",
    "transformers.trainer",
)


def environment(rank, world_size, port):
    """Return the variables that torchrun sets."""
    ranks = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "ROLE_RANK": rank}
    sizes = {"WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size, "GROUP_WORLD_SIZE": 1}
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "tests"}
    return {name: str(value) for name, value in (ranks | sizes | place).items()}


def run_rank(job, rank, port):
    """Run the script in this process and leave it, with its error in a file."""
    os.environ.update(environment(rank, job["processes"], port))
    sys.argv = [job["script"], job["folder"], *job["arguments"]]
    output = os.open(Path(job["folder"], f"{rank}.stderr"), os.O_WRONLY | os.O_CREAT, 0o600)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    status = 1
    try:
        runpy.run_path(job["script"], run_name="__main__")
        status = 0
    except BaseException:  # noqa: BLE001 whatever it was is for the test to see
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(job, rank, port):
    """Return the process of a rank."""
    child = os.fork()
    if child == 0:
        run_rank(job, rank, port)
    return child


def run(job):
    """Return the exit status of every rank when all have ended; a negative one is a signal.

    As under torchrun, a rank that fails ends the others. One that is killed does not: the others have to notice.
    """
    port = free_port()
    running = {start(job, rank, port): rank for rank in range(job["processes"])}
    statuses = [0] * job["processes"]
    while running:
        child, status = os.wait()
        rank = running.pop(child)
        statuses[rank] = os.waitstatus_to_exitcode(status)
        if statuses[rank] > 0:
            for other in running:
                os.kill(other, signal.SIGKILL)
    return statuses


for name in PRELOADED:
    with contextlib.suppress(ImportError):  # tests of hosts that are not installed are skipped
        importlib.import_module(name)
list(scdataset.scDataset(np.arange(8), scdataset.BlockShuffling(), 4))  # which loads the compiled code
for line in sys.stdin:
    sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
    sys.stdout.flush()
os._exit(0)  # without what the imported packages do at the end

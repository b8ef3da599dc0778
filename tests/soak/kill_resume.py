"""Kill training runs with SIGKILL at random moments, go on with other ranks and workers, and count every row.

Usage: python tests/soak/kill_resume.py [kills] [seed]

An epoch is gone through by a random number of ranks, each with a random number of DataLoader workers. Ranks keep in
step, as under DistributedDataParallel: each writes down the rows of its batch, waits for the others, and the first
saves the state to a file. All of them and their workers are killed at a random moment and started again, in other
numbers, from the last state that was saved. What was written down after that state does not count, since a model would
be restored from before it. In the end every row has to count exactly once, but for what ``drop_last`` drops and padding
repeats, less than one batch a rank and a start. Prints what was done; ends with an error at the first difference.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, BlockWeightedSampling, Streaming, scDataset

ROWS, BATCH_SIZE, FETCH_FACTOR = 601, 4, 5
STRATEGIES = [lambda: BlockShuffling(3), Streaming, lambda: BlockWeightedSampling(3)]
processes = multiprocessing.get_context("fork")


def dataset_of(run, rank=0, world_size=1):
    """Return a new dataset of one run."""
    strategy, drop_last = STRATEGIES[run % len(STRATEGIES)](), run % 2 == 1
    return scDataset(
        np.arange(ROWS), strategy, BATCH_SIZE, FETCH_FACTOR, drop_last, rank=rank, world_size=world_size, seed=run
    )


def go_on(run, rank, world_size, num_workers, folder, together):
    """Consume batches from the saved state on, until killed or through."""
    os.setpgid(0, 0)  # so that workers are killed as well
    warnings.simplefilter("ignore")
    dataset = dataset_of(run, rank, world_size)
    state = folder / "state.json"
    if state.exists():
        dataset.load_state_dict(json.loads(state.read_text())["state"])
    loader = DataLoader(dataset, batch_size=None, num_workers=num_workers)
    with (folder / f"rank{rank}.log").open("a") as log:
        for step, batch in enumerate(loader, start=1):
            log.write(json.dumps(batch.tolist()) + "\n")
            log.flush()
            together.wait()
            if rank == 0:
                written = state.with_suffix(".new")
                written.write_text(json.dumps({"step": step, "state": dataset.state_dict(step)}))
                written.rename(state)
            together.wait()
            time.sleep(0.003)


def launch(run, sizes, folder, patience):
    """Start all ranks and kill them ``patience`` seconds later; return whether they were killed.

    Every fourth time it is that long after the start, and otherwise after the first batch.
    """
    world_size, num_workers = sizes
    together = processes.Barrier(world_size)
    ranks = [
        processes.Process(target=go_on, args=(run, rank, world_size, num_workers, folder, together))
        for rank in range(world_size)
    ]
    for rank in ranks:
        rank.start()
    log, waits = folder / "rank0.log", random.random() < 0.75
    while waits and any(rank.is_alive() for rank in ranks) and not (log.exists() and log.stat().st_size):
        time.sleep(0.01)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and any(rank.is_alive() for rank in ranks):
        time.sleep(0.01)
    killed = False
    for rank in random.sample(ranks, len(ranks)):
        if rank.is_alive():
            killed = True
            try:
                os.killpg(rank.pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(rank.pid, signal.SIGKILL)
        rank.join()
        if rank.exitcode not in (0, -signal.SIGKILL):
            message = f"a rank of run {run} with {sizes} ended with {rank.exitcode}"
            raise AssertionError(message)
    return killed


def counted(folder, world_size):
    """Return the batches that count of the last start: those up to the state that it saved."""
    state = folder / "state.json"
    saved = json.loads(state.read_text()) if state.exists() else {"step": 0}
    found = []
    for rank in range(world_size):
        log = folder / f"rank{rank}.log"
        lines = log.read_text().splitlines()[: saved["step"]] if log.exists() else []
        found += [tuple(json.loads(line)) for line in lines]
        log.unlink(missing_ok=True)
    if state.exists():  # the next start counts its steps from here
        state.write_text(json.dumps({**saved, "step": 0}))
    return found, saved.get("state", {"epoch": 0})


def check(run, found, worlds):
    """Raise unless the batches that counted are the epoch's."""
    whole = Counter(tuple(batch.tolist()) for batch in dataset_of(run))
    drop_last = dataset_of(run).drop_last
    missing, again = (whole - found).total(), (found - whole).total()
    may_miss, may_repeat = (worlds[-1] - 1, 0) if drop_last else (0, sum(size - 1 for size in worlds))
    assert found.keys() <= whole.keys(), (run, worlds)
    assert missing <= may_miss, (run, worlds, missing)
    assert again <= may_repeat, (run, worlds, again)


def one_epoch(run, folder):
    """Go through an epoch with kills; return how many there were, and the numbers of ranks."""
    found, worlds, kills, state = Counter(), [], 0, {"epoch": 0}
    while state["epoch"] == 0:
        sizes = random.randint(1, 4), random.randint(0, 3)
        worlds.append(sizes[0])
        kills += launch(run, sizes, folder, random.uniform(0.05, 1.2))
        batches, state = counted(folder, sizes[0])
        found.update(batches)
    check(run, found, worlds)
    return kills, worlds


def main():
    """Kill as often as asked for, and report."""
    kills_wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    random.seed(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    kills = epochs = starts = 0
    begun = time.monotonic()
    while kills < kills_wanted:
        folder = Path(tempfile.mkdtemp(prefix="kill-resume-"))
        try:
            killed, worlds = one_epoch(epochs, folder)
        finally:
            shutil.rmtree(folder)
        kills, epochs, starts = kills + killed, epochs + 1, starts + len(worlds)
        print(f"epoch {epochs}: {killed} kills, ranks {worlds}", flush=True)  # noqa: T201
    print(  # noqa: T201
        f"{kills} kills of {starts} starts in {epochs} epochs, {time.monotonic() - begun:.0f} s: every row came once"
    )


if __name__ == "__main__":
    main()

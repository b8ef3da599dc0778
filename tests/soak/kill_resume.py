"""Kill training runs with SIGKILL at random moments, go on with other ranks and workers, and count every row.

Usage: python tests/soak/kill_resume.py [kills] [seed]

An epoch is gone through by one to three ranks of a gloo process group, each with up to three DataLoader workers. Each
rank writes down the rows of its batch, waits for the others as under DistributedDataParallel, and the first saves the
state to a file. All of them and their workers are killed at a random moment and started again, in other numbers, from
the last state that was saved. What was written down after that state does not count, since a model would be restored
from before it. In the end every row has to count exactly once (every draw, of a strategy with weights), but for what
``drop_last`` drops and padding repeats, less than one batch a rank and a start. Prints kills by strategy; ends with an
error at the first difference.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch.distributed
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, BlockWeightedSampling, ClassBalancedSampling, ScDatasetError, Streaming, scDataset

ROWS, BATCH_SIZE, FETCH_FACTOR = 601, 4, 5
STRATEGIES = {
    "BlockShuffling": lambda: BlockShuffling(3),
    "Streaming": Streaming,
    "BlockWeightedSampling": lambda: BlockWeightedSampling(3, weights=np.arange(1.0, ROWS + 1)),
    "ClassBalancedSampling": lambda: ClassBalancedSampling(np.arange(ROWS) % 3),
}
MOST_RANKS, MOST_WORKERS = 3, 3
STEP = 0.003
"""Seconds that a step of training takes."""
PATIENCE = 0.4
"""Seconds after which a start is killed at the latest."""

processes = multiprocessing.get_context("fork")


def strategy_of(run):
    """Return the name of the strategy of one run."""
    return list(STRATEGIES)[run % len(STRATEGIES)]


def dataset_of(run, **ranks):
    """Return a new dataset of one run, for this rank of the process group unless another is given."""
    strategy, drop_last = STRATEGIES[strategy_of(run)](), run // len(STRATEGIES) % 2 == 1
    return scDataset(np.arange(ROWS), strategy, BATCH_SIZE, FETCH_FACTOR, drop_last, seed=run, **ranks)


def go_on(run, rank, sizes, folder, group):
    """Consume batches from the saved state on, until killed or through."""
    os.setpgid(0, 0)  # so that workers are killed as well
    warnings.simplefilter("ignore")
    world_size, num_workers = sizes
    try:
        torch.distributed.init_process_group("gloo", init_method=f"file://{group}", rank=rank, world_size=world_size)
        _train(dataset_of(run), rank, num_workers, folder)
    except RuntimeError as error:
        if not isinstance(error, ScDatasetError):  # another rank was killed a moment before this one
            time.sleep(60)
        raise


def _train(dataset, rank, num_workers, folder):
    state = folder / "state.json"
    if state.exists():
        dataset.load_state_dict(json.loads(state.read_text())["state"])
    loader = DataLoader(dataset, batch_size=None, num_workers=num_workers)
    with (folder / f"rank{rank}.log").open("a") as log:
        for step, batch in enumerate(loader, start=1):
            log.write(json.dumps(batch.tolist()) + "\n")
            log.flush()
            torch.distributed.barrier()
            if rank == 0:
                written = state.with_suffix(".new")
                written.write_text(json.dumps({"step": step, "state": dataset.state_dict(step)}))
                written.rename(state)
            torch.distributed.barrier()
            time.sleep(STEP)


def launch(run, sizes, folder, patience):
    """Start all ranks and kill them ``patience`` seconds later; return whether they were killed.

    Every fourth time it is that long after the start, and otherwise after the first batch.
    """
    group = folder / f"group{random.getrandbits(32)}"
    ranks = [processes.Process(target=go_on, args=(run, rank, sizes, folder, group)) for rank in range(sizes[0])]
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
    for rank in ranks:
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
    whole = Counter(tuple(batch.tolist()) for batch in dataset_of(run, rank=0, world_size=1))
    drop_last = dataset_of(run, rank=0, world_size=1).drop_last
    missing, again = (whole - found).total(), (found - whole).total()
    may_miss, may_repeat = (worlds[-1] - 1, 0) if drop_last else (0, sum(size - 1 for size in worlds))
    assert found.keys() <= whole.keys(), (run, worlds)
    assert missing <= may_miss, (run, worlds, missing)
    assert again <= may_repeat, (run, worlds, again)


def one_epoch(run, folder):
    """Go through an epoch with kills; return how many there were, and how many ranks and workers each start had."""
    found, starts, kills, state = Counter(), [], 0, {"epoch": 0}
    while state["epoch"] == 0:
        sizes = random.randint(1, MOST_RANKS), random.randint(0, MOST_WORKERS)
        starts.append(sizes)
        kills += launch(run, sizes, folder, random.uniform(0, PATIENCE))
        batches, state = counted(folder, sizes[0])
        found.update(batches)
    check(run, found, [world_size for world_size, _ in starts])
    return kills, starts


def main():
    """Kill as often as asked for, and report."""
    kills_wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    random.seed(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    kills, epochs, starts = Counter(), Counter(), Counter()
    begun, run = time.monotonic(), 0
    while kills.total() < kills_wanted:
        with tempfile.TemporaryDirectory(prefix="kill-resume-") as folder:
            killed, sizes = one_epoch(run, Path(folder))
        name = strategy_of(run)
        kills[name], epochs[name] = kills[name] + killed, epochs[name] + 1
        starts.update((name, *each) for each in sizes)
        run += 1
        print(f"epoch {run}: {killed} kills, ranks and workers {sizes}", flush=True)  # noqa: T201
    for name in STRATEGIES:
        by_ranks = {n: sum(m for (one, ranks, _), m in starts.items() if (one, ranks) == (name, n)) for n in (1, 2, 3)}
        print(f"{name:>22}: {kills[name]} kills in {epochs[name]} epochs, starts by ranks {by_ranks}")  # noqa: T201
    seconds = time.monotonic() - begun
    print(f"{kills.total()} kills of {starts.total()} starts, {seconds:.0f} s: every row came once")  # noqa: T201


if __name__ == "__main__":
    main()

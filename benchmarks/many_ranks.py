"""The schedule of 800 ranks with 8 workers each over 1,000,000,000 rows, through three changes of size.

What a rank would do is done for the last one: constructing the dataset, loading a state, reading the first batch, and
saving; times are of the processor. Which batches come is worked out for every worker of every rank, each as its
DataLoader would take them, and every batch of the epoch is counted.

    python benchmarks/many_ranks.py --rows 10000000
"""

import json
import os
import time
from argparse import ArgumentParser
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset import BlockShuffling, scDataset
from scdataset.schedule.partition import Partition
from scdataset.schedule.progress import Generation, Progress, RemainingEpoch

BATCH, FETCH = 64, 64

SIZES = ((800, 8, 0.35), (792, 8, 0.5), (400, 4, 0.4), (800, 8, 1.0))
"""Ranks, workers of each, and the share of their steps that they take before the next change."""


def resident() -> int:
    """Return the resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def dataset_of(n_rows: int, rank: int, world_size: int) -> scDataset:
    """Return the dataset of a rank."""
    return scDataset(range(n_rows), BlockShuffling(16), BATCH, FETCH, rank=rank, world_size=world_size, seed=0)


@lru_cache
def dealt(lengths: tuple[int, ...], steps: int) -> list[int]:
    """Return how many batches each worker has given, when a DataLoader took one of each in turn."""
    given = [0] * len(lengths)
    while steps:
        for worker, length in enumerate(lengths):
            if steps and given[worker] < length:
                given[worker] += 1
                steps -= 1
    return given


def count_steps(remaining: RemainingEpoch, n_workers: int, steps: int, counts: NDArray[np.uint8]) -> None:
    """Count the batches that one rank takes in some steps."""
    parts = [remaining.part_of(worker) for worker in range(n_workers)]
    lengths = tuple(remaining.assignment.n_steps_of(part) - before for part, before in parts)
    for (part, before), left in zip(parts, dealt(lengths, steps), strict=True):
        for fetch in remaining.partition.fetches_of_part(remaining.assignment, part, before):
            for run in fetch:
                taken = run[:left]
                counts[taken.start : taken.stop] += 1
                left -= len(taken)  # noqa: PLW2901 what is left of this worker's
            if not left:
                break


def remaining_epoch(n_rows: int, state: dict[str, Any], world_size: int, n_workers: int) -> RemainingEpoch:
    """Return the rest of the epoch for the first rank."""
    whole = Partition(n_rows, BATCH, FETCH, world_size=world_size)
    progress = Progress(state["epoch"], tuple(Generation(*link) for link in state["chain"]))
    return RemainingEpoch.from_progress(whole, progress, n_workers, in_order=False)


def measure_rank(n_rows: int, world_size: int, state: dict[str, Any]) -> str:
    """Do what the last rank does when it begins, and say what it took."""
    before, begun = resident(), time.process_time()
    dataset = dataset_of(n_rows, world_size - 1, world_size)
    constructed = time.process_time()
    dataset.load_state_dict(state)
    loaded = time.process_time()
    n_batches = dataset.remaining
    next(iter(dataset))
    read = time.process_time()
    return (
        f"constructed in {(constructed - begun) * 1e3:.1f} ms, state loaded in {(loaded - constructed) * 1e3:.0f} ms, "
        f"first of {n_batches:,} batches after {(read - loaded) * 1e3:.0f} ms, {(resident() - before) / 1e6:.1f} MB"
    )


def main() -> None:
    """Go through the epoch with each size, and count its batches."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000_000)
    n_rows = parser.parse_args().rows
    next(iter(dataset_of(10_000, 0, 1)))  # compiled code is loaded once, whatever the number of rows
    state = dataset_of(n_rows, 0, 1).state_dict()
    counts = np.zeros(-(-n_rows // BATCH), np.uint8)
    for world_size, n_workers, share in SIZES:
        measured = measure_rank(n_rows, world_size, state)
        first = remaining_epoch(n_rows, state, world_size, n_workers)
        steps = int(len(first) * share)
        begun = time.process_time()
        for rank in range(world_size):
            part = replace(first, partition=replace(first.partition, rank=rank))
            count_steps(part, n_workers, steps, counts)
        seconds = (time.process_time() - begun) / world_size
        state = saved_by_all(n_rows, state, (world_size, n_workers), steps)
        print(  # noqa: T201
            f"{world_size} ranks x {n_workers} workers take {steps:,} of {len(first):,} steps. A rank: {measured}; "
            f"all of its schedule in {seconds * 1e3:.0f} ms; state of {len(json.dumps(state))} bytes",
            flush=True,
        )
    once, twice = (int(np.count_nonzero(counts == n)) for n in (1, 2))
    assert once + twice == counts.size
    assert twice < SIZES[-1][0]
    print(f"{counts.size:,} batches: {once:,} came once, {twice} twice, to fill the last round")  # noqa: T201


def saved_by_all(n_rows: int, state: dict[str, Any], size: tuple[int, int], steps: int) -> dict[str, Any]:
    """Return the state after some steps, which the first and the last rank have to agree on."""
    states = []
    for rank in (0, size[0] - 1):
        dataset = dataset_of(n_rows, rank, size[0])
        dataset.load_state_dict(state)
        states.append(dataset.state_dict(steps, epoch=state["epoch"], num_workers=size[1]))
    assert states[0] == states[1]
    return states[0]


if __name__ == "__main__":
    main()

"""Size of a state, and the time to take and to load one, at 1,000,000,000 rows, for 8 and for 1,024 ranks."""

import json
import time
from collections.abc import Callable

from scdataset import BlockShuffling, scDataset

ROWS = 1_000_000_000


def make(world_size: int) -> scDataset:
    """Return the dataset of the last rank."""
    return scDataset(range(ROWS), BlockShuffling(16), 64, 64, rank=world_size - 1, world_size=world_size, seed=2**63)


def best(call: Callable[[], object], repeats: int) -> float:
    """Return the shortest time that a call took, in seconds."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def report(world_size: int, num_workers: int) -> None:
    """Measure one world and print a line."""
    dataset = make(world_size)
    batches = iter(dataset)
    for _ in range(3):
        next(batches)
    bare = best(dataset.state_dict, 200)
    told = best(lambda: dataset.state_dict(1001, epoch=0, num_workers=num_workers), 200)
    state = dataset.state_dict(1001, epoch=0, num_workers=num_workers)
    same = best(lambda: make(world_size).load_state_dict(state), 10) - best(lambda: make(world_size), 10)
    other = make(world_size // 2)
    changed = best(lambda: other.load_state_dict(state), 10)
    print(  # noqa: T201
        f"{world_size:5} ranks, {num_workers} workers: {len(json.dumps(state))} bytes; taken in {bare * 1e6:.0f} us "
        f"(told the batches: {told * 1e6:.0f} us); loaded by as many ranks in {same * 1e3:.2f} ms, by half as many in "
        f"{changed * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    for ranks in (8, 1024):
        for workers in (0, 4):
            report(ranks, workers)

"""Assertions of batches that come after a state was loaded."""

import json
from collections import Counter
from collections.abc import Sequence

from scdataset._tables import counted
from scdataset._types import Json
from scdataset.dataset import scDataset
from scdataset.testing.epoch import Make, check_shared_out, contents

__all__ = ["assert_elastic", "assert_resumes_everywhere"]

MOST_BYTES = 4096
"""Most that a state may take as JSON."""


def assert_resumes_everywhere(
    make: Make, *, rank: int = 0, world_size: int = 1, num_workers: int = 0, every: int = 1
) -> None:
    """Save after every batch, restore each state in a new dataset, and raise unless it goes on byte for byte.

    Parameters
    ----------
    make
        Makes a new dataset of the same seed each time: ``make(rank=r, world_size=w)``.
    rank, world_size, num_workers
        The rank to try, and its workers.
    every
        Restore only every so many of the states; with workers, each restart starts processes.

    Raises
    ------
    AssertionError
        If a state is over 4 KB as JSON, or the batches after it differ from those of the uninterrupted run.
    """
    dataset = make(rank=rank, world_size=world_size)
    states = [_saved(dataset.state_dict())]
    batches = []
    for number, batch in enumerate(contents(dataset, num_workers), start=1):
        batches.append(batch)
        states.append(_saved(dataset.state_dict(number)))
    following = list(contents(dataset, num_workers))
    if dataset.uneven_ranks:  # a rank that is through may have to wait for others, or not
        states.pop()
    for number, state in list(enumerate(states))[::every]:
        again = make(rank=rank, world_size=world_size)
        again.load_state_dict(json.loads(state))
        expected = batches[number:] or following
        found = list(contents(again, num_workers))
        if found != expected:
            place = next((k for k, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
            message = (
                f"{again!r} with {counted(num_workers, 'worker')}, restored after {counted(number, 'batch')}: "
                f"{counted(len(found), 'batch')} came and {len(expected):,} were expected; the first difference is "
                f"{counted(place, 'batch')} after the restart. The state: {state}"
            )
            raise AssertionError(message)


def assert_elastic(
    make: Make, *, world_sizes: Sequence[int] = (1, 2, 3), num_workers: Sequence[int] = (0,), every: int = 1
) -> None:
    """Stop at every step, go on with every other number of ranks and workers, and raise unless all batches come once.

    Parameters
    ----------
    make
        As for `assert_resumes_everywhere`.
    world_sizes, num_workers
        Numbers of ranks, and of workers of each, to stop and to go on with.
    every
        Stop only at every so many steps.

    Raises
    ------
    AssertionError
        If ranks save different states, or batches are missing or repeated beyond those that ``drop_last`` drops and
        padding repeats: less than one a rank, each time.
    """
    whole = Counter(contents(make(rank=0, world_size=1)))
    sizes = [(size, workers) for size in world_sizes for workers in num_workers]
    for before in sizes:
        ranks = [make(rank=rank, world_size=before[0]) for rank in range(before[0])]
        yielded = [list(contents(rank, before[1])) for rank in ranks]
        for step in range(0, max(map(len, yielded)), every):
            state = _same_state(ranks, step, before[1])
            taken = Counter(batch for rank in yielded for batch in rank[:step])
            for after in sizes:
                _check_gone_on(make, state, whole, taken, before, after)


def _check_gone_on(
    make: Make, state: str, whole: Counter[str], taken: Counter[str], before: tuple[int, int], after: tuple[int, int]
) -> None:
    ranks = [make(rank=rank, world_size=after[0]) for rank in range(after[0])]
    found = Counter(taken)
    lengths = []
    for rank in ranks:
        rank.load_state_dict(json.loads(state))
        left = list(contents(rank, after[1]))
        lengths.append(len(left))
        found.update(left)
    if max(lengths) - min(lengths) > (1 if ranks[0].uneven_ranks else 0):
        message = f"{ranks[0]!r} after {state}: ranks yield {lengths} batches."
        raise AssertionError(message)
    check_shared_out(found, ranks[0], whole, [before[0], after[0]])


def _same_state(ranks: Sequence[scDataset], step: int, num_workers: int) -> str:
    states = {_saved(rank.state_dict(min(step, len(rank)), epoch=0, num_workers=num_workers)) for rank in ranks}
    if len(states) > 1:
        message = f"Ranks save different states after {counted(step, 'batch')}: {sorted(states)}."
        raise AssertionError(message)
    return states.pop()


def _saved(state: Json) -> str:
    text = json.dumps(state)
    if len(text) > MOST_BYTES:
        message = f"The state has {counted(len(text), 'byte')} as JSON, and may have {MOST_BYTES:,}: {text}"
        raise AssertionError(message)
    return text

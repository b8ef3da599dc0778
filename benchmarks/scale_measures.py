"""One measurement of `scale`, in a process of its own: ``python scale_measures.py '{"what": "opening", ...}'``.

Memory is that of a process and those it has started, each page counted once in all (proportional set size), without
pages of files, which the system takes back when it likes. Linux alone tells it. Compiled code is loaded, and as much
read of a small collection, before anything is measured: that costs the same whatever the number of rows.
"""

import gc
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from loops import skip
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from scdataset import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    GroupedSampling,
    SamplingStrategy,
    Streaming,
    open_collection,
    scDataset,
)

BATCH, WINDOW = 1024, 16
"""Rows of a batch, and batches of a window, where rates are measured."""

_WARM_WINDOWS = 4
_ROUND = 100_000

STRATEGIES: dict[str, Callable[[Any, NDArray[np.float64]], SamplingStrategy]] = {
    "Streaming": lambda _, __: Streaming(),
    "BlockShuffling": lambda _, __: BlockShuffling(16),
    "BlockWeightedSampling": lambda _, weights: BlockWeightedSampling(16, weights=weights),
    "BlockWeightedSampling, replace=False": lambda _, weights: BlockWeightedSampling(
        16, weights=weights, replace=False, sampling_size=min(_ROUND, weights.size // 10)
    ),
    "ClassBalancedSampling": lambda cells, _: ClassBalancedSampling(cells.obs["cell_type"], 16),
}
"""Strategies, made of a collection and of weights, shape ``(n_rows,)``."""

Given = dict[str, Any]

KEPT: dict[str, tuple[Callable[[int], Given], Callable[..., SamplingStrategy]]] = {
    "all rows, or a range": (lambda n: {"indices": range(0, n, 2)}, BlockShuffling),
    "1 in 100 rows, ascending": (lambda n: {"indices": _half(n)[::50].copy()}, BlockShuffling),
    "half of the rows, ascending": (lambda n: {"indices": _half(n)}, BlockShuffling),
    "half of the rows, a mask": (lambda n: {"indices": _mask(n)}, BlockShuffling),
    "half of the rows, in no order": (lambda n: {"indices": _half(n)[::-1]}, BlockShuffling),
    "the same, a weight (float32) for each": (
        lambda n: {"indices": _half(n)[::-1], "weights": np.ones(n // 2, np.float32)},
        BlockWeightedSampling,
    ),
    "weights, uint8": (lambda n: {"weights": _weights(n, np.uint8)}, BlockWeightedSampling),
    "weights, float64": (lambda n: {"weights": _weights(n, np.float64)}, BlockWeightedSampling),
    "weights, float64, replace=False": (
        lambda n: {"weights": _weights(n, np.float64), "replace": False, "sampling_size": min(_ROUND, n // 10)},
        BlockWeightedSampling,
    ),
    "classes, int8 codes": (lambda n: {"labels": _labels(n, np.int8)}, ClassBalancedSampling),
    "classes, int64": (lambda n: {"labels": _labels(n, np.int64)}, ClassBalancedSampling),
    "groups, int8 codes": (lambda n: {"groups": _labels(n, np.int8), "set_size": 16}, GroupedSampling),
    "groups, int64, matched controls": (
        lambda n: {"groups": _labels(n, np.int64), "set_size": 16, "control": 0, "match": np.arange(n) // 1000 % 50},
        GroupedSampling,
    ),
}
"""What a user gives a strategy, made of the number of rows, and the strategy."""


def main() -> None:
    """Measure what the first argument asks for, and print it."""
    asked = json.loads(sys.argv[1])
    measure = {"opening": opening, "first": first_batch, "rate": rates, "workers": workers, "kept": kept}
    sys.stdout.write(json.dumps(measure[asked.pop("what")](**asked)))


def opening(folder: str, small: str, obs: list[str]) -> dict[str, float]:
    """Return seconds to open a collection, and bytes of memory."""
    open_collection(small, obs=obs).close()
    before, start = memory(), time.perf_counter()
    cells = open_collection(folder, obs=obs)
    seconds = time.perf_counter() - start
    gc.collect()
    return {"seconds": seconds, "memory": memory() - before, "rows": len(cells)}


def first_batch(folder: str, small: str, strategy: str) -> dict[str, float]:
    """Return seconds and bytes from an open collection to the first batch, and the size of a state."""
    found = {}
    for place in (small, folder):
        cells = open_collection(place, obs=["cell_type"])
        weights = _weights(len(cells), np.float64)
        gc.collect()
        before, start = memory(), time.perf_counter()
        dataset = scDataset(cells, STRATEGIES[strategy](cells, weights), 64, seed=0)
        batches = iter(dataset)
        assert len(next(batches)) == 64
        seconds = time.perf_counter() - start
        found = {"seconds": seconds, "memory": memory() - before, "state": len(json.dumps(dataset.state_dict()))}
    return found


def rates(folder: str, block: int, seconds: float, rounds: int) -> list[float]:
    """Return rows a second of some rounds, once memory is used again rather than asked of the system."""
    cells = open_collection(folder, obs=["cell_type"])
    batches = _endless(scDataset(cells, BlockShuffling(block), BATCH, WINDOW, drop_last=True, seed=0))
    skip(batches, _WARM_WINDOWS * WINDOW)
    return [_rate(batches, seconds) for _ in range(rounds)]


def workers(folder: str, small: str, method: str, strategy: str) -> dict[str, float]:
    """Return seconds from an open collection to the first batch of two workers, and bytes of memory that they add."""
    _first_of_workers(small, "fork", strategy, 0)
    return _first_of_workers(folder, method, strategy, 2)


def kept(case: str, rows: int) -> dict[str, float]:
    """Return bytes that a strategy keeps, and more at its peak, after the first batch, of ``rows`` rows."""
    give, strategy = KEPT[case]
    warnings.filterwarnings("ignore", "indices is not in ascending order")
    found = {}
    for n_rows in (min(rows, 100_000), rows):
        before = memory()
        given = give(n_rows)
        gc.collect()
        resident, start = _peak(anew=True), time.perf_counter()
        dataset = scDataset(range(n_rows), strategy(**given), 64, seed=0)
        assert len(next(iter(dataset))) == 64
        seconds, peak = time.perf_counter() - start, _peak() - resident
        del given
        gc.collect()
        found = {"seconds": seconds, "memory": memory() - before, "peak": peak}
    return found


def memory() -> int:
    """Return bytes of memory of this process and its descendants, less pages of files, and with what they share."""
    return _shared() + sum(_proportional(process) for process in ["self", *_descendants("self")])


def _shared() -> int:
    """Return bytes of files in memory that have no name, of which no process has pages that it has not touched."""
    sizes = {}
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder itself was open
            if str(link.readlink()).startswith("/memfd:"):
                status = link.stat()
                sizes[status.st_ino] = status.st_blocks * 512
    return sum(sizes.values())


def _proportional(process: str) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon"))


def _descendants(process: str) -> Iterator[str]:
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        for child in listed.read_text().split():
            yield child
            yield from _descendants(child)


def _peak(*, anew: bool = False) -> int:
    """Return the peak of resident memory since it was last counted anew, in bytes."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _first_of_workers(folder: str, method: str, strategy: str, n_workers: int) -> dict[str, float]:
    cells = open_collection(folder, obs=["cell_type"])
    dataset = scDataset(cells, STRATEGIES[strategy](cells, _weights(len(cells), np.float64)), 64, seed=0)
    gc.collect()
    before, start = memory(), time.perf_counter()
    context = method if n_workers else None
    batches = iter(DataLoader(dataset, batch_size=None, num_workers=n_workers, multiprocessing_context=context))
    next(batches)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory": memory() - before}


def _endless(dataset: scDataset) -> Iterator[Any]:
    while True:
        yield from dataset


def _rate(batches: Iterator[Any], seconds: float) -> float:
    start, rows = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        rows += sum(len(batch) for batch in islice(batches, WINDOW))
    return rows / (time.perf_counter() - start)


def _weights(n_rows: int, dtype: Any) -> NDArray[Any]:
    return np.resize(np.arange(1, 101, dtype=dtype), n_rows)


def _labels(n_rows: int, dtype: Any) -> NDArray[Any]:
    return np.resize(np.arange(100, dtype=dtype), n_rows)


def _half(n_rows: int) -> NDArray[np.int64]:
    """Return one of each two rows, now the first and now the second."""
    rows = np.arange(n_rows // 2)
    return rows * 2 + rows // 7 % 2


def _mask(n_rows: int) -> NDArray[np.bool_]:
    mask = np.zeros(n_rows, bool)
    mask[_half(n_rows)] = True
    return mask


if __name__ == "__main__":
    main()

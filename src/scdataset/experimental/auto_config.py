"""Parameters of scDataset from the size of a row and the memory of the machine.

The closed form behind the block sizes: with blocks of b rows of one group and windows of f batches, the entropy of the
groups in a batch falls short of that of random sampling by D - 1 times U, where D = 1 + (b - 1) / f and
U = (K - 1) / (2 m ln 2) bits for K groups and batches of m rows. Only b / f counts.
"""

from collections.abc import Callable

from scdataset._arguments import flag, warn, whole
from scdataset._cores import usable_cores
from scdataset._types import Json, RowData
from scdataset.collections import as_collection
from scdataset.dataset import scDataset
from scdataset.errors import ArgumentValueError, CollectionError
from scdataset.experimental._memory import available_memory, size_of
from scdataset.strategy import Streaming
from scdataset.strategy.base import count_rows
from scdataset.strategy.row_keys import RowKeys, call_transform, keyed

__all__ = ["estimate_sample_size", "suggest_parameters"]

_LARGEST_FETCH_FACTOR = 256
"""Beyond it neither reading nor mixing gains anything that was measured."""

_ASSUMED_MEMORY = 8 * 2**30
"""Bytes that are taken to be available where the system does not say."""

_REPORT = """\
{available_ram_gb:.1f} of {total_ram_gb:.1f} GiB free, {cpu_count} cores, {estimated_sample_size_bytes:,} bytes a row
DataLoader: num_workers={num_workers}, prefetch_factor={prefetch_factor}
scDataset:  fetch_factor={fetch_factor}
block_size: {block_size_conservative} (more random), {block_size_balanced} (balanced), {block_size_aggressive} (faster)
Memory:     {estimated_memory_per_fetch_mb:.1f} MiB a window, {estimated_total_memory_mb:.1f} MiB in all"""

Hook = Callable[..., object] | None


def suggest_parameters(
    data_collection: object,
    batch_size: int,
    target_ram_fraction: float = 0.2,
    max_workers: int = 16,
    min_workers: int = 1,
    verbose: bool = True,  # noqa: FBT001, FBT002 the API that users have
    fetch_callback: Hook = None,
    fetch_transform: Hook = None,
    batch_callback: Hook = None,
    batch_transform: Hook = None,
) -> Json:
    """Suggest parameters of `scDataset` and of the DataLoader that fit into memory.

    Parameters
    ----------
    data_collection
        Anything that `as_collection` takes; a few of its rows are read.
    batch_size
        Rows in a batch.
    target_ram_fraction
        Part of the available memory that rows may take.
    max_workers, min_workers
        Bounds of the number of DataLoader workers. Half the cores are suggested between them; ``min_workers`` for a
        collection that `open_collection` made, which reads with threads of its own.
    verbose
        Print the suggestions.
    fetch_callback, fetch_transform, batch_callback, batch_transform
        Hooks, as `scDataset` takes them.

    Returns
    -------
    A dict with

    - ``num_workers``, ``prefetch_factor``: for the DataLoader; no ``prefetch_factor`` (None) without workers
    - ``fetch_factor``: as many batches as fit into memory, at most 256
    - ``block_size_balanced``: ``fetch_factor``, so that D = 2: batches lose one U of entropy (see the module)
    - ``block_size_conservative``: half of it, D = 1.5
    - ``block_size_aggressive``: twice as much, D = 3
    - ``estimated_memory_per_fetch_mb``, ``estimated_total_memory_mb``: MiB of one window, and of all of them
    - ``system_info``: ``available_ram_gb``, ``total_ram_gb`` (GiB), ``cpu_count``, ``estimated_sample_size_bytes``

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        For arguments of the wrong type or value, naming the allowed values.
    CollectionError
        For a collection that cannot be indexed by row.

    Examples
    --------
    >>> import numpy as np
    >>> params = suggest_parameters(np.zeros((1000, 200)), batch_size=64, verbose=False)
    >>> params["fetch_factor"] == params["block_size_balanced"]
    True
    """
    batch_size = whole("batch_size", batch_size, minimum=1)
    max_workers = whole("max_workers", max_workers, minimum=0)
    min_workers = whole("min_workers", min_workers, minimum=0)
    if not target_ram_fraction >= 0:
        message = f"target_ram_fraction={target_ram_fraction!r}; give a number of at least 0, such as 0.2."
        raise ArgumentValueError(message)
    verbose = flag("verbose", verbose)
    row = estimate_sample_size(data_collection, 16, fetch_callback, fetch_transform, batch_callback, batch_transform)
    memory, cores = _memory(), usable_cores()
    wanted = min_workers if _reads_in_threads(data_collection) else max(cores // 2, min_workers)
    suggested = _suggested(batch_size, min(wanted, max_workers), row, int(memory[0] * target_ram_fraction))
    system_info = {
        "available_ram_gb": memory[0] / 2**30,
        "total_ram_gb": memory[1] / 2**30,
        "cpu_count": cores,
        "estimated_sample_size_bytes": row,
    }
    if verbose:
        print(_REPORT.format(**suggested, **system_info))  # noqa: T201 verbose=True asks for it
    return {**suggested, "system_info": system_info}


def _suggested(batch_size: int, n_workers: int, row_bytes: int, most_bytes: int) -> Json:
    """Return the parameters for so many workers, whose windows may take ``most_bytes`` together."""
    # A worker holds the window in use and the one before it is freed; read-ahead adds one in the main process.
    n_windows = 2 * n_workers or 3
    fitting = most_bytes // max(n_windows * batch_size * row_bytes, 1)
    fetch_factor = max(1, min(fitting, _LARGEST_FETCH_FACTOR))
    fetch_mb = batch_size * fetch_factor * row_bytes / 2**20
    return {
        "num_workers": n_workers,
        "fetch_factor": fetch_factor,
        "block_size_conservative": max(1, fetch_factor // 2),
        "block_size_balanced": fetch_factor,
        "block_size_aggressive": 2 * fetch_factor,
        "prefetch_factor": fetch_factor + 1 if n_workers else None,
        "estimated_memory_per_fetch_mb": fetch_mb,
        "estimated_total_memory_mb": fetch_mb * n_windows,
    }


def estimate_sample_size(
    data_collection: object,
    n_samples: int = 16,
    fetch_callback: Hook = None,
    fetch_transform: Hook = None,
    batch_callback: Hook = None,
    batch_transform: Hook = None,
) -> int:
    """Estimate the memory of a row in bytes: on its way through the hooks, where it is largest.

    Parameters
    ----------
    data_collection
        Anything that `as_collection` takes; with a ``fetch_callback``, anything that has a length.
    n_samples
        Rows that are read, evenly spaced over the collection.
    fetch_callback, fetch_transform, batch_callback, batch_transform
        Hooks, as `scDataset` takes them. They get the sampled rows as one batch.

    Returns
    -------
    Bytes a row, rounded up; 0 if there is no row.

    Examples
    --------
    >>> import numpy as np
    >>> estimate_sample_size(np.zeros((1000, 2000)))
    16000
    """
    n_samples = whole("n_samples", n_samples, minimum=0)
    sizes: list[int] = []

    def observed(value: RowData) -> RowData:
        sizes.append(size_of(value))
        return value

    @keyed
    def transform(fetched: RowData, keys: RowKeys) -> RowData:
        observed(fetched)
        return fetched if fetch_transform is None else observed(call_transform(fetch_transform, fetched, keys))

    @keyed
    def finish(batch: RowData, keys: RowKeys) -> RowData:
        return observed(batch if batch_transform is None else call_transform(batch_transform, batch, keys))

    n_rows = count_rows(data_collection if fetch_callback else as_collection(data_collection))
    taken = min(n_samples, n_rows)
    if not taken:
        return 0
    rows = range(0, n_rows, n_rows // taken)[:taken]
    hooks = (fetch_callback, transform, batch_callback, finish)
    sample = scDataset(data_collection, Streaming(rows), taken, 1, False, *hooks, 0, 1, 0)  # noqa: FBT003 drop_last
    next(iter(sample))
    return -(-max(sizes) // taken)


def _memory() -> tuple[int, int]:
    memory = available_memory()
    if memory is None:
        warn("The system does not say how much memory it has; 8 GiB are taken to be available.")
        return _ASSUMED_MEMORY, _ASSUMED_MEMORY
    return memory


def _reads_in_threads(data_collection: object) -> bool:
    try:
        return bool(getattr(as_collection(data_collection), "reads_ahead", False))
    except CollectionError:  # which only a fetch_callback can read
        return False

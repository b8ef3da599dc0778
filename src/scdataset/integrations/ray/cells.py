"""read_cells: all cells of a collection as a data set of Ray Data, and back to matrices."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data
from numpy.typing import NDArray
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from scdataset._arguments import flag
from scdataset.cells import CellCollection, Opening, open_again, open_collection
from scdataset.cells.join.obs import Condition
from scdataset.errors import ArgumentTypeError
from scdataset.integrations.ray.blocks import Layout
from scdataset.integrations.ray.nodes import naming_node, use_assigned_cpus

__all__ = ["CellSource", "read_cells"]

_FILL = 1.2
"""Size of a block over the one that Ray aims at: up to 1.5 it passes on as it is, and smaller ones it puts together."""

_SENT = 1 << 16
"""Bytes of a call of `open_collection` from which on it goes to the tasks by the object store, and not in each."""

_TASK, _SMALLEST = 32 << 20, 1 << 20
"""Bytes of a task, and at least where more CPUs than tasks are there; Ray would make 200 tasks of anything."""

_COLUMN_BYTES = 8
"""Bytes that a column takes beside the values of matrices: a number, or where a list begins."""

_RUNS, _RUN = 64, 16
"""Runs of rows, and rows in each, by which the size of all is estimated."""


def read_cells(
    source: object,
    *,
    filter: Condition | None = None,  # noqa: A002 the name that Ray and pyarrow have for it
    dense: bool = False,
    ordered: bool = False,
    num_cpus: int = 1,
    concurrency: int | None = None,
    override_num_blocks: int | None = None,
    ray_remote_args: Mapping[str, object] | None = None,
    **options: object,
) -> "ray.data.Dataset":
    """Read all cells, in the order of the files, as a data set of Ray Data whose blocks are Arrow.

    A task gets paths, options and row numbers, and opens the files where it runs; a process keeps them open for its
    next tasks. It reads consecutive rows, so that of each array at most one chunk is decoded twice between two tasks.

    Parameters
    ----------
    source
        Anything that `open_collection` takes, or a collection that it returned.
    filter
        Cells to take: a function of obs as in `CellCollection.where`, a boolean mask, or row numbers, which are taken
        in ascending order; None for all. It is evaluated here, and others are never read.
    dense
        Whether row-sparse X comes as a tensor; choose ``genes`` then.
    ordered
        Whether blocks come in the order of the rows, also where a later one is ready first.
    num_cpus
        CPUs of a task, and threads that it reads and decodes with.
    concurrency, ray_remote_args
        As in ``ray.data.read_datasource``.
    override_num_blocks
        Number of tasks; None for one every 32 MB, or more of smaller ones where the cluster has more CPUs.
    **options
        Options of `open_collection`, such as ``obs``, ``obsm``, ``genes``, ``join``, ``layer`` and ``row_sums``.

    Returns
    -------
    ray.data.Dataset
        ``row``, the number of the cell in the collection, int64; the columns of obs, labels as a dictionary of strings
        with null where missing; X as two columns of large lists, ``genes`` with column numbers, int32, and
        ``expressions`` with values; `to_csr` makes a matrix of a batch. Dense X is a tensor ``X``, and so are arrays of
        obsm by their names. With ``row_sums`` also ``total_counts``.

    Raises
    ------
    ArgumentValueError
        If two columns have one name; further as `open_collection`.

    Examples
    --------
    >>> cells = read_cells("plates/*.h5ad", obs=["drug"], filter=lambda obs: obs["drug"] != "DMSO")  # doctest: +SKIP
    >>> cells.groupby("drug").count().show()  # reads no X  # doctest: +SKIP
    >>> embedded = cells.map_batches(Embed, batch_format="pyarrow", concurrency=8, num_gpus=1)  # doctest: +SKIP
    >>> embedded.write_parquet("embedding")  # doctest: +SKIP
    """
    datasource = CellSource(source, filter=filter, dense=dense, **options)
    dataset = ray.data.read_datasource(
        datasource,
        num_cpus=num_cpus,
        concurrency=concurrency,
        override_num_blocks=override_num_blocks or _number_of_tasks(datasource.estimate_inmemory_data_size()),
        ray_remote_args=None if ray_remote_args is None else dict(ray_remote_args),
    )
    if flag("ordered", ordered):
        dataset.context.execution_options.preserve_order = True
    return dataset


class CellSource(Datasource):  # type: ignore[misc]  # Ray is not looked into
    """Cells as a source of Ray Data, for ``ray.data.read_datasource``; see `read_cells`."""

    def __init__(
        self,
        source: object,
        *,
        filter: Condition | None = None,  # noqa: A002 as in read_cells
        dense: bool = False,
        **options: object,
    ) -> None:
        super().__init__()
        self._projection_map: dict[str, str] | None = None
        cells = _opened(source, options)
        self._opening = _opening_of(cells)
        self._layout = Layout.from_cells(cells, dense=flag("dense", dense))
        self._rows = _rows(cells, filter)
        self._row_bytes = _estimated_bytes(cells, self._rows, self._layout)
        self._schema = self._layout.block(cells, np.arange(0)).schema

    def get_name(self) -> str:
        """Return the name of the tasks."""
        return "Cells"

    def supports_projection_pushdown(self) -> bool:
        """Return True: columns that are not selected are not read."""
        return True

    def estimate_inmemory_data_size(self) -> int:
        """Return about how many bytes all cells take as Arrow."""
        return int(self._row_bytes * self._rows.size)

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: ray.data.DataContext | None = None,
    ) -> list[ReadTask]:
        """Return tasks of about equally many rows each, in the order of the rows."""
        wanted = self._get_data_columns()
        layout = self._layout if wanted is None else self._layout.only(wanted)
        schema = self._schema if wanted is None else pa.schema([self._schema.field(name) for name in layout.names])
        context = ray.data.DataContext.get_current() if data_context is None else data_context
        target = context.target_max_block_size or self.estimate_inmemory_data_size()
        step = max(int(target * _FILL / max(self._row_bytes, 1)), 1)
        opening, tasks = _sent(self._opening), []
        for rows in np.array_split(self._rows, min(max(parallelism, 1), max(self._rows.size, 1))):
            metadata = BlockMetadata(
                num_rows=rows.size, size_bytes=int(rows.size * self._row_bytes), input_files=None, exec_stats=None
            )
            read = _reader(opening, layout, _Rows.of(rows), step)
            tasks.append(ReadTask(read, metadata, schema=schema, per_task_row_limit=per_task_row_limit))
        return tasks


@dataclass(frozen=True, slots=True)
class _Rows:
    """Ascending row numbers, as they are sent: neighbouring ones as their bounds."""

    bounds: tuple[int, int]
    listed: NDArray[np.int64] | None

    @classmethod
    def of(cls, rows: NDArray[np.int64]) -> "_Rows":
        first, last = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
        return cls((first, last), None if last - first == rows.size else rows)

    @property
    def all(self) -> NDArray[np.int64]:
        return np.arange(*self.bounds) if self.listed is None else self.listed


def _reader(opening: object, layout: Layout, rows: _Rows, step: int) -> Callable[[], Iterator[pa.Table]]:
    """Return the function of a task: it holds nothing but its arguments."""

    def read_cells_of_task() -> Iterator[pa.Table]:
        found: Opening = opening if isinstance(opening, Opening) else ray.get(opening)
        use_assigned_cpus()
        with naming_node():
            cells = open_again(found)
        numbers = rows.all
        for first in range(0, max(numbers.size, 1), step):
            yield layout.block(cells, numbers[first : first + step])

    return read_cells_of_task


def _number_of_tasks(n_bytes: int) -> int:
    cpus = int(ray.cluster_resources().get("CPU", 1)) if ray.is_initialized() else 1
    return max(-(-n_bytes // _TASK), min(2 * cpus, n_bytes // _SMALLEST), 1)


def _opened(source: Any, options: Mapping[str, Any]) -> Any:
    if not isinstance(source, CellCollection):
        return open_collection(source, **options)
    if options:
        message = f"read_cells got a collection and {list(options)}, which are options for opening one; give paths."
        raise ArgumentTypeError(message)
    return source


def _opening_of(cells: object) -> Opening:
    opening: Opening | None = getattr(cells, "opening", None)
    if opening is None:
        message = (
            f"{type(cells).__qualname__} cannot be opened in other processes; give paths, and of MuData the name of "
            "one modality: read_cells(path, modality=...)."
        )
        raise ArgumentTypeError(message)
    return opening


def _sent(opening: Opening) -> Opening | ray.ObjectRef:
    """Return the opening, or its place in the object store if it is large, as of thousands of paths."""
    large = len(ray.cloudpickle.dumps(opening)) > _SENT
    return ray.put(opening) if large and ray.is_initialized() else opening


def _rows(cells: CellCollection, wanted: Condition | None) -> NDArray[np.int64]:
    if wanted is None:
        return np.arange(len(cells))
    chosen = cells.where(wanted) if callable(wanted) else cells.rows_of(wanted)
    return np.unique(chosen)


def _estimated_bytes(cells: CellCollection, rows: NDArray[np.int64], layout: Layout) -> float:
    """Return about how many bytes a row takes, by the row pointers of runs of rows from all over."""
    if not rows.size:
        return 0.0
    firsts = np.unique(np.linspace(0, max(rows.size - _RUN, 0), _RUNS).astype(np.int64))
    sample = rows[np.unique((firsts[:, None] + np.arange(_RUN)).ravel().clip(max=rows.size - 1))]
    cost = None if layout.dense else cells.read_cost(sample).result_bytes
    if cost is None:
        return float(layout.block(cells, sample).nbytes / sample.size)
    return float(cost / sample.size) + _COLUMN_BYTES * len(layout.names)

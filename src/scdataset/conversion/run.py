"""convert: any collection of cells to AnnData in a sharded zarr store.

request ──► annotations ──► scan ──► plan ──► shards, each noted when it is complete ──► the store gets its name
                            lengths of rows, range of values
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike

from scdataset._arguments import flag
from scdataset._clusters import Cluster, cluster_of
from scdataset._tables import counted
from scdataset.cells import CellCollection
from scdataset.cells.join.genes import Join
from scdataset.cells.join.obs import Condition
from scdataset.conversion.destination import Destination
from scdataset.conversion.order import RowOrder
from scdataset.conversion.progress import no_bar, rate_bar
from scdataset.conversion.request import Storage, Wanted
from scdataset.conversion.task import Task
from scdataset.conversion.workspace import Workspace
from scdataset.errors import ArgumentValueError

__all__ = ["Conversion", "convert"]

_CHUNK = 1 << 16
_SHARD = 1 << 23


@dataclass(frozen=True, slots=True)
class Conversion:
    """A finished conversion.

    Attributes
    ----------
    path
        The store.
    shape
        Cells and genes.
    dtype
        Type of the values of X.
    n_bytes
        Size of the store on disk.
    left_out
        Parts of the source that the store has not, and why, such as ``"raw: not asked for with raw"``.
    """

    path: str
    shape: tuple[int, int]
    dtype: str
    n_bytes: int
    left_out: tuple[str, ...] = ()


def convert(
    source: object,
    out: str | PathLike[str],
    *,
    shuffle: bool = False,
    seed: int = 0,
    block_size: int = 16,
    layer: str | None = None,
    layers: Sequence[str] = (),
    obs: Sequence[str] | None = None,
    obsm: Sequence[str] | None = None,
    raw: bool = False,
    indices: Condition | None = None,
    genes: Sequence[str] | None = None,
    join: Join = "exact",
    compact: bool = True,
    dtype: DTypeLike | None = None,
    chunk_size: int = _CHUNK,
    shard_size: int = _SHARD,
    verify: bool = False,
    progress: bool = True,
    engine: "Cluster | str | None" = None,
    **options: Any,
) -> Conversion:
    """Convert cells to AnnData in a sharded zarr store (version 3), which plain anndata and zarr read.

    Of one source the store has uns, varm and varp as well, and obsp where all cells stay in their order. Several
    sources may not agree in them, so these are left out; ``Conversion.left_out`` and ``uns["conversion"]`` list them.

    Two shards are in memory at a time, beside 16 bytes a row, and a column of obs, the names of the cells of a file, or
    a member of uns, varm, varp, or a frame of obsm.
    An interrupted conversion goes on when it is called again with the same arguments, and gives the same bytes; until
    then there is a folder ``OUT.zarr.conversion``. The store gets its name when it is complete.

    Column numbers are stored as int32 in blosc-lz4hc, values in blosc-zstd, both shuffled. The columns of a row come in
    ascending order.

    Parameters
    ----------
    source
        Anything that `open_collection` takes; or a collection that it opened, which is read with the options that it
        was opened with, but for ``obs``, ``obsm``, ``dtype`` and ``row_sums``, which are of batches.
    out
        Path or URL of the store, which ends in ``.zarr``; nothing may be there yet. For a URL (``s3://``, ``gs://``,
        ``az://``) the store is made in the cache folder of this machine, which needs room for it, and put there when it
        is complete; ``storage_options`` are for source and store, and beside a collection for the store, if it is in
        another place than the collection.
    shuffle
        Whether to write the cells in random order: blocks of neighbouring cells are shuffled, then the cells of 4,096
        places. Reading in order is reading at random then; ``obs["source_row"]`` has the row of each cell in the
        source, and ``uns["conversion"]`` the files and their numbers of cells.
    seed, block_size
        Of the shuffle; a larger block reads faster and mixes less.
    layer
        The matrix that becomes X, as in `open_collection`.
    layers
        Layers to have as layers.
    obs
        Columns of obs; None for all.
    obsm
        Arrays of obsm; None for all, if the source is one file.
    raw
        Whether to have raw, with all of its genes.
    indices
        Cells to take, in their order: row numbers, a boolean mask, or a function of obs as in `CellCollection.where`.
    genes, join
        As in `open_collection`.
    compact
        Whether whole numbers from 0 on get the narrowest unsigned type that holds them all; else values keep theirs.
    dtype
        The type of values in X and layers, in place of that. Values that it does not hold are refused.
    chunk_size, shard_size
        Values in a chunk, which is decoded whole, and in a shard, which is a file. Chunks of 131,072 take 1.4 % less
        space, and more time at small blocks.
    verify
        Whether to read the store again before it gets its name, and compare it with the source.
    progress
        Whether to show a bar with rate and time left, or to log where there is no terminal, if it takes longer than a
        second.
    engine
        Who writes the shards: None for this process, ``"ray"`` for all CPUs of a Ray cluster, or
        `scdataset.integrations.ray.Actors`. The store is the same to the byte. Every machine has to see the source and
        the folder of ``out`` under the same paths. Each process holds two shards and 16 bytes a row.
    **options
        Other options of `open_collection`, such as ``gene_key``, ``missing_obs`` or ``num_threads``.

    Raises
    ------
    ArgumentValueError
        If an argument is wrong, or values do not fit; an ExistingFileError if there is something at ``out``.
    OutputError
        If the store cannot be written, as on a full disk; the shards that were written are kept.
    CollectionChangedError
        If the source has changed since an interrupted conversion began, or since the collection was opened.
    DamagedFileError
        If ``verify`` finds a difference.

    Examples
    --------
    >>> convert("plates/*.h5ad", "plates.zarr", shuffle=True, obs=["drug", "cell_line"])  # doctest: +SKIP
    """
    wanted = Wanted.checked(
        source, layer, layers, obs, obsm, raw, shuffle, seed, block_size, {**options, "genes": genes, "join": join}
    )
    storage = Storage.checked(compact, dtype, chunk_size, shard_size)
    cluster = cluster_of(engine)
    bar = rate_bar if flag("progress", progress) else no_bar
    verify = flag("verify", verify)
    given = options.get("storage_options")
    remote = Destination.from_url(out, wanted.options.get("storage_options") if given is None else given)
    with ExitStack() as stack:
        if remote is not None:
            stack.enter_context(remote.held())
        space = stack.enter_context(Workspace.opened(out if remote is None else remote.local))
        if remote is not None:
            remote.refuse_others(space)
        cells = stack.enter_context(wanted.opened(wanted.layer))
        order = _order(cells, wanted, indices)
        space.claim(wanted.as_json(cells, order.selected, storage))
        if not space.is_finished:
            Task(space, cells, wanted, storage, order, stack, bar).run(verify=verify, cluster=cluster)
        elif verify and space.is_planned:
            Task(space, cells, wanted, storage, order, stack, bar).verify()
        done = _described(space.out)
        if remote is None:
            space.clean_up()
            return done
        remote.put(space, bar)
        remote.clean_up()
        return replace(done, path=remote.url)


def _described(out: Path) -> Conversion:
    root = zarr.open_group(out, mode="r")
    x = root["X"]
    left_out = root["uns/conversion/left_out"]
    is_sparse = isinstance(x, zarr.Group)
    n_obs, n_vars = x.attrs["shape"] if is_sparse else x.shape
    n_bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Conversion(
        str(out), (n_obs, n_vars), (x["data"] if is_sparse else x).dtype.name, n_bytes, tuple(left_out[:].tolist())
    )


def _order(cells: CellCollection, wanted: Wanted, indices: Condition | None) -> RowOrder:
    if indices is None:
        return RowOrder(len(cells), None, wanted.block_size, wanted.seed)
    selected = cells.where(indices) if callable(indices) else cells.rows_of(indices)
    if not selected.size or np.unique(selected).size < selected.size:
        repeated = selected.size - np.unique(selected).size
        message = (
            f"indices selects {counted(selected.size, 'cell')}, {repeated:,} of them repeated; give at least one, each "
            "once."
        )
        raise ArgumentValueError(message)
    return RowOrder(selected.size, selected, wanted.block_size, wanted.seed)

"""Entries of genes x cells in any order, to three plain arrays of cells x genes, in bounded memory."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._progress import log_or_bar
from scdataset._types import Array, DType
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.containers.matrix_market import Entries, MatrixMarket
from scdataset.engine.containers.npy import npy_array, values_of
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.row_pointers import RowPointers
from scdataset.errors import DamagedFileError

__all__ = ["csr_matrix", "write_rows"]

_INT32 = np.iinfo(np.int32)


@dataclass(slots=True)
class _Seen:
    """Properties of a text.

    Attributes
    ----------
    lengths
        Entries of each cell, shape ``(n_cells,)``.
    n_entries, last_cell
        Entries so far, and the cell of the last.
    ascending
        Whether the entries of a cell follow each other, cells in order.
    small
        Whether whole numbers are within int32.
    """

    lengths: NDArray[np.int64]
    n_entries: int = 0
    last_cell: int = 0
    ascending: bool = True
    small: bool = True

    def note(self, entries: Entries) -> None:
        """Count some more entries."""
        cells, values = entries.columns, entries.values
        if cells.size == 0:
            return
        self.ascending &= _count(cells, self.lengths, self.last_cell)
        self.last_cell = int(cells[-1])
        self.n_entries += cells.size
        if values.dtype.kind == "i":
            self.small &= int(values.min()) >= _INT32.min and int(values.max()) <= _INT32.max


def write_rows(path: str, folder: Path) -> dict[str, NDArray[np.int64]]:
    """Write a Matrix Market file of genes x cells as ``data.npy``, ``indices.npy`` and ``indptr.npy`` of cells x genes.

    The entries of a cell stay in the order of the text. Whole numbers become int32, or int64 if one is too large, and
    others float64. The text is read once if it is in the order of the cells, as Cell Ranger writes it, and else twice.

    Returns
    -------
    Where the values and the genes lie in their files; see `Make`.

    Raises
    ------
    CollectionError, DamagedFileError
        As `MatrixMarket` does.
    """
    text = MatrixMarket.from_path(path)
    source = open_bytes(path)
    source.announce(np.zeros(1, np.int64), np.array([source.size]))  # all of it is read, and from a store at once
    if text.shape[0] > _INT32.max or text.n_entries * 4 > max(source.size, 1) * 2000:
        message = f"{path} of {source.size} bytes cannot have {text.n_entries} entries of {text.shape}."
        raise DamagedFileError(message)
    dtype = np.dtype(np.int32) if text.dtype.kind == "i" else text.dtype
    seen = _write(text, folder, dtype, None)
    indptr = np.zeros(text.shape[1] + 1, np.int64)
    np.cumsum(seen.lengths, out=indptr[1:])
    if not (seen.ascending and seen.small):
        _write(text, folder, dtype if seen.small else np.dtype(np.int64), indptr[:-1].copy())
    np.save(folder / "indptr.npy", indptr)
    return {name: values_of(folder / name) for name in ("data.npy", "indices.npy")}


def csr_matrix(files: Mapping[str, LocalFile], n_columns: int) -> CsrMatrix:
    """Return the matrix of the files that `write_rows` wrote."""
    (data, size), (indices, _) = (npy_array(files[f"{name}.npy"], name) for name in ("data", "indices"))
    pointers = files["indptr.npy"]
    try:
        with pointers.stream() as stream:
            indptr = np.load(stream)
        table = RowPointers.from_pointers(indptr, size)
    except (ValueError, OSError, EOFError) as error:
        message = f"{pointers.path}: row pointers of its copy in the cache, {pointers.place}: {error}."
        raise DamagedFileError(message) from error
    return CsrMatrix((indptr.size - 1, n_columns), data, indices, table)


def _write(text: MatrixMarket, folder: Path, dtype: DType, starts: NDArray[np.int64] | None) -> _Seen:
    """Write values and genes, in the order of the text or to the next place of each cell, from ``starts`` on."""
    data = _file_of(folder / "data.npy", dtype, text.n_entries)
    indices = _file_of(folder / "indices.npy", np.dtype(np.int32), text.n_entries)
    seen = _Seen(np.zeros(text.shape[1], np.int64))
    with log_or_bar(f"Reading {text.path} once, to the cache", open_bytes(text.path).size) as advance:
        for entries in text.entries(advance):
            done = seen.n_entries
            where = slice(done, done + entries.rows.size) if starts is None else _places(entries.columns, starts)
            data[where] = entries.values
            indices[where] = entries.rows
            seen.note(entries)
    return seen


def _file_of(path: Path, dtype: DType, length: int) -> Array:
    """Make a file for an array, with its space: a full disk is an error here, and in a mapped page the end."""
    if length == 0:
        np.save(path, np.empty(0, dtype))
        return np.empty(0, dtype)
    array: Array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(length,))
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


@compiled
def _count(cells: NDArray[np.int64], lengths: NDArray[np.int64], last: int) -> bool:
    """Count the entries of each cell; tell whether cells ascend from ``last`` on."""
    ascending = True
    for cell in cells:
        ascending &= cell >= last
        last = cell
        lengths[cell] += 1
    return ascending


@compiled
def _places(cells: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each entry the next place of its cell."""
    places = np.empty(cells.size, np.int64)
    for i in range(cells.size):
        places[i] = starts[cells[i]]
        starts[cells[i]] += 1
    return places

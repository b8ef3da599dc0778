"""Plain h5ad files of very many short rows, written piece by piece: 8 to 12 non-zeros a row, 93 bytes of disk each.

Names of cells are left unwritten, as no opening reads them. A million rows are drawn, and repeated.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

GENES = 2_000
BYTES_A_ROW = 94
"""Of disk: 10 values and column numbers of 4 bytes each, a row pointer of 8, a code of 1 and an integer of 4."""

_PIECE = 1_000_000
_SHORTEST, _LONGEST = 8, 12
_STEP = GENES // _LONGEST
_LAST_YEAR = 1_700_000_000 * 10**9
"""When the files were changed, in nanoseconds: what was written just now is not cached."""

_KINDS = 50


def write_files(folder: Path, n_rows: int, n_files: int) -> None:
    """Write ``n_rows`` rows, as equal parts of ``n_files`` files in an empty folder."""
    folder.mkdir(parents=True)
    lengths, columns = _drawn(min(_PIECE, n_rows))
    bounds = np.linspace(0, n_rows, n_files + 1).astype(np.int64)
    for number in range(n_files):
        path = folder / f"{number:05}.h5ad"
        _write(path, int(bounds[number + 1] - bounds[number]), lengths, columns)
        os.utime(path, ns=(_LAST_YEAR, _LAST_YEAR))


def _drawn(n_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Draw the lengths of rows, shape ``(n_rows,)``, and their column numbers, ascending in each row."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(_SHORTEST, _LONGEST + 1, n_rows)
    inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return lengths, (inside * _STEP + rng.integers(0, _STEP, inside.size)).astype(np.int32)


def _write(path: Path, n_rows: int, lengths: NDArray[np.int64], columns: NDArray[np.int32]) -> None:
    """Write one file: the first rows of those that were drawn, again and again."""
    sizes = np.cumsum(lengths[:n_rows])
    columns = columns[: sizes[-1]]
    whole, rest = divmod(n_rows, sizes.size)
    n_elements = whole * int(sizes[-1]) + (int(sizes[rest - 1]) if rest else 0)
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [n_rows, GENES]})
        data = group.create_dataset("data", (n_elements,), np.float32)
        indices = group.create_dataset("indices", (n_elements,), np.int32)
        indptr = group.create_dataset("indptr", (n_rows + 1,), np.int64)
        values = (columns % 7 + 1).astype(np.float32)
        for row, end_row, start, end in _pieces(n_rows, sizes):
            data[start:end] = values[: end - start]
            indices[start:end] = columns[: end - start]
            indptr[row + 1 : end_row + 1] = start + sizes[: end_row - row]
        _write_frame(file, "var", GENES, [])
        file["var/_index"][:] = np.array([f"g{number}" for number in range(GENES)], object)
        obs = _write_frame(file, "obs", n_rows, ["cell_type", "n_counts"])
        _write_columns(obs, n_rows)


def _pieces(n_rows: int, sizes: NDArray[np.int64]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the rows of each piece, and its elements."""
    start = 0
    for row in range(0, n_rows, sizes.size):
        end_row = min(row + sizes.size, n_rows)
        end = start + int(sizes[end_row - row - 1])
        yield row, end_row, start, end
        start = end


def _write_frame(file: h5py.File, name: str, size: int, columns: list[str]) -> h5py.Group:
    """Write a data frame without its columns, its index unwritten."""
    frame = file.create_group(name)
    frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
    frame.attrs["column-order"] = np.array(columns, h5py.string_dtype())
    index = frame.create_dataset("_index", (size,), h5py.string_dtype(), chunks=(min(size, _PIECE),))
    index.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    return frame


def _write_columns(obs: h5py.Group, n_rows: int) -> None:
    """Write a categorical and an integer column."""
    kinds = obs.create_group("cell_type")
    kinds.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})
    kinds["categories"] = np.array([f"type {number}" for number in range(_KINDS)], object)
    kinds["categories"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    codes = kinds.create_dataset("codes", (n_rows,), np.int8)
    counts = obs.create_dataset("n_counts", (n_rows,), np.int32)
    for written in (codes, counts):
        written.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    for row in range(0, n_rows, _PIECE):
        numbers = np.arange(row, min(row + _PIECE, n_rows))
        codes[row : row + numbers.size] = numbers * 7 % _KINDS
        counts[row : row + numbers.size] = numbers % 1000

"""cellstream's archives of cells: rows of values in a format of its own, which cellstream reads, and a small h5ad file.

That file and the table of obs lie in the archive as they are, and are read as files of their formats are here: bounded,
and compared with the archive that was opened.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cellstream
import numpy as np
import pandas as pd
from cellstream.packed import PackedArchive
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import DType
from scdataset.cells.columns import ColumnValues
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.h5ad import H5adFile
from scdataset.cells.formats.parquet_tables import parquet_rows
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.bytes.part import PartOfFile
from scdataset.engine.containers.hdf5 import H5File
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.parts import Matrix, MatrixRows
from scdataset.engine.matrices.remapped import ReadApart
from scdataset.engine.observer import DECODE, observed
from scdataset.errors import DamagedFileError, ScDatasetError

__all__ = ["CellstreamFile"]


class CellstreamFile(CellFile):
    """One archive, with a layout of cells.

    Parameters
    ----------
    path
        The file.
    """

    _kind = "an archive of cellstream"

    def __init__(self, path: str) -> None:
        self.path = path
        file = LocalFile(path)
        self.matrix = _Rows(file)
        self.n_obs = self.matrix.shape[0]
        with _reading(path):
            places = {one["name"]: (one["offset"], one["length"]) for one in PackedArchive(path).members}
            self._table = PartOfFile(file, "obs.parquet", *places["obs.parquet"])
            header = PartOfFile(file, "header.h5ad", *places["header.h5ad"])
        file.check()
        self._header = H5adFile(header.path, None, opened=H5File(header))
        shape = self._header.matrix.shape
        if shape != self.matrix.shape:
            message = f"{header.path} has shape {shape}, and {path} has {self.matrix.shape}."
            raise DamagedFileError(message)
        self.matrix.check_lengths()

    @property
    def var(self) -> pd.DataFrame:
        """The genes."""
        return self._header.var

    @property
    def obs_keys(self) -> list[str]:
        """Columns of obs."""
        return list(self._obs().columns)

    def _obs_values(self, name: str) -> ColumnValues:
        column: ColumnValues = self._obs()[name].array
        return column

    def _obs(self) -> pd.DataFrame:
        return parquet_rows(self._table, self.n_obs)

    def members(self, group: str) -> list[str]:
        """Return the names in obsm, obsp, uns, varm or varp."""
        return self._header.members(group)

    def member(self, group: str, name: str) -> object:
        """Read one of `members` whole, as anndata does."""
        return self._header.member(group, name)

    def _array(self, group: str, name: str) -> Matrix:
        return self._header.array(name, group)

    def close(self) -> None:
        """Close the archive; the next read opens it again."""
        super().close()
        self._header.close()


class _Rows(ReadApart):
    """The values, in the type in which they are stored: cellstream by itself returns counts as float32."""

    kind = "CSR"
    _open: "cellstream.CellStream | None" = None
    _pid = -1

    def __init__(self, file: LocalFile) -> None:
        self._path = file.path
        self._file = file
        with _store(file.path) as store:
            self.shape = (int(store.n_obs), int(store.n_vars))
            self.dtype: DType = np.dtype(store.manifest["value_dtype_on_disk"])
            self._longest = int(np.diff(store.indptr).max(initial=0))

    def check_lengths(self) -> None:
        """Raise if a row says that it has more values than there are genes: cellstream makes room for them at once."""
        if self._longest > self.shape[1]:
            message = (
                f"{self._path} has a row of {counted(self._longest, 'value')}, and {counted(self.shape[1], 'gene')}."
            )
            raise DamagedFileError(message)

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> MatrixRows:
        """Return rows, in any order and repeated or not."""
        # cellstream maps the file: bytes that are cut off end the process, and those of another file would be believed.
        self._file.check()
        with _reading(self._path):
            if self._open is None or self._pid != os.getpid():
                self._open, self._pid = cellstream.open(self._path), os.getpid()
            with observed(DECODE, requests=1):
                found: MatrixRows = self._open.gather_rows(rows, n_threads=context.threads.count, out_dtype=self.dtype)
        self._file.check()
        return found

    def announce(self, rows: NDArray[np.int64]) -> int:  # noqa: ARG002 as in files
        """Do nothing: only cellstream knows where the bytes are."""
        return 0

    def close(self) -> None:
        """Close the archive in this process."""
        if self._open is not None and self._pid == os.getpid():
            self._open.close()
        self._open = None

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_open": None}


@contextmanager
def _store(path: str) -> Iterator["cellstream.CellStream"]:
    with _reading(path):
        store = cellstream.open(path)
        try:
            yield store
        finally:
            store.close()


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Name the file, whatever cellstream raises over its bytes."""
    try:
        yield
    except (ScDatasetError, MemoryError):
        raise
    except Exception as error:
        message = f"{path} cannot be read by cellstream: {type(error).__name__}: {error}"
        raise DamagedFileError(message) from error

"""cellstream's archives of cells, read by cellstream itself: a format of its own, of compressed rows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cellstream
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset._arguments import nearest
from scdataset._types import Array, DType, RowData
from scdataset.cells.formats.cell_file import CellFile
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.parts import Matrix
from scdataset.engine.matrices.remapped import ReadApart
from scdataset.engine.observer import DECODE, observed
from scdataset.errors import ArgumentValueError, DamagedFileError, ScDatasetError

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
        self.matrix = _Rows(path)
        self.n_obs = self.matrix.shape[0]

    @property
    def var(self) -> pd.DataFrame:
        """The genes."""
        with _store(self.path) as store:
            var: pd.DataFrame = store.var
            return var

    @property
    def obs_keys(self) -> list[str]:
        """Columns of obs."""
        with _store(self.path) as store:
            return list(store.obs.columns)

    def _obs_values(self, name: str) -> RowData:
        with _store(self.path) as store:
            return store.obs[name].array

    def members(self, group: str) -> list[str]:
        """Return the dense arrays of obsm."""
        with _store(self.path) as store:
            return [name for name in store.obsm if group == "obsm" and getattr(store.obsm[name], "ndim", 0) == 2]

    def _array(self, group: str, name: str) -> Matrix:
        """Return an array of obsm, which is in memory as a whole."""
        names = self.members(group)
        if name not in names:
            message = f"{self.path}: {group} has no dense array {name!r}; it has {names}{nearest(name, names)}"
            raise ArgumentValueError(message)
        with _store(self.path) as store:
            return _Held(np.asarray(store.obsm[name]))


class _Rows(ReadApart):
    """The values, in the type in which they are stored: cellstream by itself returns counts as float32."""

    kind = "CSR"
    _open: Any = None
    _pid = -1

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = LocalFile(path)
        with _store(path) as store:
            self.shape = (int(store.n_obs), int(store.n_vars))
            self.dtype: DType = np.dtype(store.manifest["value_dtype_on_disk"])

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> RowData:
        """Return rows, in any order and repeated or not."""
        # cellstream maps the file: bytes that are cut off end the process, and those of another file would be believed.
        self._file.check()
        with _reading(self._path):
            if self._open is None or self._pid != os.getpid():
                self._open, self._pid = cellstream.open(self._path), os.getpid()
            with observed(DECODE, requests=1):
                found = self._open.gather_rows(rows, n_threads=context.threads.count, out_dtype=self.dtype)
        self._file.check()
        return found

    def announce(self, rows: NDArray[np.int64]) -> bool:  # noqa: ARG002 as in files
        """Do nothing: where the bytes are is cellstream's to know."""
        return False

    def close(self) -> None:
        """Close the archive in this process."""
        if self._open is not None and self._pid == os.getpid():
            self._open.close()
        self._open = None

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_open": None}


class _Held(ReadApart):
    """A dense matrix in memory."""

    kind = "dense"

    def __init__(self, values: Array) -> None:
        self._values = values
        self.shape: tuple[int, int] = values.shape
        self.dtype = values.dtype

    def read(self, rows: NDArray[np.int64], context: ReadContext) -> RowData:  # noqa: ARG002 as in files
        """Return rows."""
        return self._values[rows]

    def announce(self, rows: NDArray[np.int64]) -> bool:  # noqa: ARG002 as in files
        """Do nothing."""
        return False

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def _store(path: str) -> Iterator[Any]:
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

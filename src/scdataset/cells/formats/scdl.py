"""BioNeMo's SCDL folders: three files of plain bytes, a header with their types, and features as Parquet.

The header begins with ``SCDL`` and is big-endian: version (3 bytes), byte order (1), backend (4), and the number of
arrays (4); of each its name (4 bytes of length, then text), length (8), type (4), and a byte, 0, or 1 before a shape.
"""

import struct
from collections.abc import Iterator

import numpy as np
import pandas as pd

from scdataset._tables import counted
from scdataset._types import Array, DType
from scdataset.cells.columns import ColumnValues
from scdataset.cells.formats.cell_file import CellFile
from scdataset.cells.formats.parquet_tables import MOST_GENES, parquet_table
from scdataset.cells.formats.read_errors import reading
from scdataset.engine.bytes.folders import files_in, within
from scdataset.engine.bytes.object_store import opening, using_options
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.containers.npy import raw_array
from scdataset.engine.matrices.csr import CsrMatrix
from scdataset.engine.matrices.row_pointers import RowPointers
from scdataset.errors import CollectionError, DamagedFileError

__all__ = ["ScdlFile"]

_FILES = {"DATA": "data.npy", "COLPTR": "col_ptr.npy", "ROWPTR": "row_ptr.npy"}
"""Names of the arrays in the header, and their files, which have no header of numpy's in spite of their names."""

_DEFAULTS = {"DATA": "float32", "COLPTR": "uint32", "ROWPTR": "uint64"}
"""Types in a folder without a header, as versions before it wrote them."""

_MAX_HEADER = 1 << 20
"""Bytes of the header that are read; it takes a hundred."""

_TYPES = {1: "uint8", 2: "uint16", 3: "uint32", 4: "uint64", 5: "float16", 6: "float32", 7: "float64"}


class ScdlFile(CellFile):
    """One SCDL folder.

    Parameters
    ----------
    path
        The folder.
    """

    _kind = "an SCDL folder"

    def __init__(self, path: str) -> None:
        self.path = path
        self._options = opening().options  # columns of obs are read whenever they are asked for
        with reading(path, "its header"):
            types = {name: np.dtype(kind) for name, kind in _types(within(path, "header.sch")).items()}
        genes = self._features(MOST_GENES, "var_features", "features")
        if len(genes) != 1:
            message = (
                f"{path} has {counted(len(genes), 'list')} of genes, one for each data set it joins; it has to have "
                "one."
            )
            raise CollectionError(message)
        self._var = genes[0]
        pointers, stored, columns = (open_bytes(within(path, _FILES[name])) for name in ("ROWPTR", "DATA", "COLPTR"))
        indptr = _whole(pointers, types["ROWPTR"])
        self.n_obs = indptr.size - 1
        n_elements = stored.size // types["DATA"].itemsize
        try:
            table = RowPointers.from_pointers(indptr, n_elements)
        except ValueError as error:
            message = f"{pointers.path} {error}."
            raise DamagedFileError(message) from error
        data = raw_array(stored, "DATA", types["DATA"], n_elements)
        indices = raw_array(columns, "COLPTR", types["COLPTR"], n_elements)
        self.matrix = CsrMatrix((self.n_obs, len(self._var)), data, indices, table)

    @property
    def var(self) -> pd.DataFrame:
        """The genes, with the columns that the folder has of them; it has names only where its writer kept them."""
        return self._var

    @property
    def obs_keys(self) -> list[str]:
        """Columns of obs that all data sets in the folder have."""
        parts = self._features(self.n_obs, "obs_features")
        return [str(name) for name in (parts[0] if parts else ()) if all(name in part for part in parts)]

    def _obs_values(self, name: str) -> ColumnValues:
        parts = self._features(self.n_obs, "obs_features")
        column: ColumnValues = pd.concat([part[name] for part in parts], ignore_index=True).array
        return column

    def _features(self, most_rows: int, *folders: str) -> list[pd.DataFrame]:
        """Read the tables of a folder of features, one for each data set that was joined and has other features."""
        with using_options(self._options):
            for folder in folders:
                files = files_in(within(self.path, folder), ".parquet")
                if files:
                    return [parquet_table(file, most_rows) for file in files]
        return []


def _whole(file: ByteSource, dtype: DType) -> Array:
    """Return all elements of a file."""
    stored = np.frombuffer(file.read(0, file.size // dtype.itemsize * dtype.itemsize), dtype)
    return stored.copy()  # compiled code takes no array that is read-only


def _types(header: str) -> dict[str, str]:
    """Return the type of each array."""
    try:
        stored = open_bytes(header).read(0, _MAX_HEADER)
    except FileNotFoundError:  # on a disk or in a store
        return _DEFAULTS
    if stored[:4] != b"SCDL" or stored[7] != 1:
        message = f"it begins with {stored[:8]!r}"
        raise ValueError(message)
    found = dict(_arrays(stored))
    return {**_DEFAULTS, **{name: kind for name, kind in found.items() if name in _FILES}}


def _arrays(stored: bytes) -> Iterator[tuple[str, str]]:
    at = 16
    for _ in range(struct.unpack_from(">I", stored, 12)[0]):
        (length,) = struct.unpack_from(">I", stored, at)
        name = stored[at + 4 : at + 4 + length].decode()
        _, kind, has_shape = struct.unpack_from(">QIB", stored, at + 4 + length)
        at += 4 + length + 13
        at += 4 + 4 * struct.unpack_from(">I", stored, at)[0] if has_shape else 0
        yield name, _TYPES[kind]

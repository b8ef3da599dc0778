"""The h5ad file of an atlas, written block by block (anndata's on-disk specification 0.1.0)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem

from scdataset._arguments import whole
from scdataset.errors import ArgumentValueError
from scdataset.simulation.kernels import CellCounts

_COMPRESSIONS = (None, "gzip", "lzf")
_EMPTY_GROUPS = ("layers", "obsm", "obsp", "uns", "varm", "varp")


@dataclass(frozen=True, slots=True)
class Storage:
    """How the matrix is stored: HDF5 filter, and elements in a chunk of ``data`` and ``indices``."""

    compression: str | None
    chunk_elements: int

    def __post_init__(self) -> None:
        if self.compression not in _COMPRESSIONS:
            message = f"compression={self.compression!r} is not known; give one of {_COMPRESSIONS}."
            raise ArgumentValueError(message)
        whole("chunk_elements", self.chunk_elements, minimum=1)


class CsrWriter:
    """A CSR matrix in an HDF5 file that grows by blocks of rows.

    Parameters
    ----------
    group
        An empty group, which becomes the matrix.
    storage
        Filter and chunk length.
    """

    def __init__(self, group: h5py.Group, storage: Storage) -> None:
        self._group = group
        self._lengths = [np.zeros(1, np.int64)]
        for name, dtype in (("data", np.float32), ("indices", np.int32)):
            group.create_dataset(
                name,
                shape=(0,),
                maxshape=(None,),
                dtype=dtype,
                chunks=(storage.chunk_elements,),
                compression=storage.compression,
            )

    def append(self, rows: CellCounts) -> None:
        """Write the next rows."""
        for name, values in (("data", rows.data), ("indices", rows.indices)):
            stored = self._group[name]
            start = len(stored)
            stored.resize((start + len(values),))
            stored[start:] = values
        self._lengths.append(rows.lengths)

    def finish(self, n_vars: int) -> None:
        """Write the row pointers, in 32 bits where they fit as scipy does, and the attributes."""
        pointers = np.cumsum(np.concatenate(self._lengths))
        narrow = pointers[-1] <= np.iinfo(np.int32).max
        self._group["indptr"] = pointers.astype(np.int32 if narrow else np.int64)
        self._group.attrs.update(
            {
                "encoding-type": "csr_matrix",
                "encoding-version": "0.1.0",
                "shape": np.array([len(pointers) - 1, n_vars]),
            },
        )


def write_annotations(file: h5py.File, obs: pd.DataFrame, var: pd.DataFrame) -> None:
    """Write all of an h5ad file that is not the matrix."""
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    write_elem(file, "obs", obs)
    write_elem(file, "var", var)
    for name in _EMPTY_GROUPS:
        write_elem(file, name, {})


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` and move it there if all goes well, so that no half file is ever seen."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()

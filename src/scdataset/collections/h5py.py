"""h5py datasets."""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from scdataset.collections.ascending import ascending, runs
from scdataset.collections.handles import OwnedHandle, is_on_disk
from scdataset.errors import CollectionError

__all__ = ["adapt", "cut"]

_GAP_BYTES = 1 << 16
"""Rows between two wanted ones are read along up to this size: a call costs more than they do."""


class H5Rows(OwnedHandle):
    """A dense HDF5 dataset, read in stretches of neighbouring rows."""

    def __len__(self) -> int:
        return int(self.source.shape[0])

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows, shape ``(n, *shape[1:])``."""
        self.check()
        dataset = self.source
        wanted, places = ascending(rows)
        row_bytes = max(dataset.dtype.itemsize * int(np.prod(dataset.shape[1:])), 1)
        parts = [np.empty((0, *dataset.shape[1:]), dataset.dtype)]
        for start, stop in runs(wanted, _GAP_BYTES // row_bytes):
            inside = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, stop)]
            parts.append(dataset[start:stop][inside - start])
        fetched = np.concatenate(parts)
        return fetched if places is None else fetched[places]

    def fingerprint(self) -> str:
        """Return file, name, shape and dtype."""
        dataset = self.source
        place = self.files[0].path if self.files else dataset.file.filename
        return f"{place}:{dataset.name}:{dataset.shape}:{dataset.dtype}"

    def _open_files(self, source: Any) -> list[Any]:
        return [source.file] if is_on_disk(source.file) else []


def adapt(source: Any) -> H5Rows | None:
    """Adapt datasets with at least one axis; say what to do with a group or file, and with what was closed."""
    if not isinstance(source, (h5py.Dataset, h5py.Group)):
        return None
    if not source:
        message = f"The collection is an h5py {type(source).__name__} whose file was closed; open the file again."
        raise CollectionError(message)
    if isinstance(source, h5py.Dataset) and source.shape:
        return H5Rows(source)
    message = (
        f"The collection is an h5py {type(source).__name__} ({source!r}), which has no rows. Give a dataset with at "
        "least one axis, or, for an h5ad file, anndata.read_h5ad(path, backed='r')."
    )
    raise CollectionError(message)


def cut(value: Any, rows: slice) -> Any:
    """Read rows that follow each other."""
    return value[rows]

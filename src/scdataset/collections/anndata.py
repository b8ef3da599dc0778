"""AnnData, in memory and backed, and AnnCollection."""

import warnings
from typing import Any

import anndata
import numpy as np
from anndata.experimental import AnnCollection
from numpy.typing import NDArray

from scdataset.collections.ascending import ascending
from scdataset.collections.handles import OwnedHandle
from scdataset.collections.rows import RowIndex

__all__ = ["adapt", "take"]


class AnnDataRows(OwnedHandle):
    """AnnData: reading gives an AnnData in memory."""

    def __len__(self) -> int:
        return int(self.source.n_obs)

    def read(self, rows: NDArray[np.int64]) -> anndata.AnnData:
        """Return the cells, with obs, layers and obsm."""
        with warnings.catch_warnings():
            # A cell that is drawn twice is there twice, name and all.
            warnings.filterwarnings("ignore", "Observation names are not unique", UserWarning)
            wanted, places = ascending(rows)
            if not self.source.isbacked:
                return self.source[rows].copy()
            cells = self.source[wanted].to_memory()
            return cells if places is None else cells[places].copy()

    def fingerprint(self) -> str:
        """Return file, shape and the names of what is aligned to cells."""
        source = self.source
        parts = (source.filename or "AnnData", source.shape, sorted(source.layers), sorted(source.obsm))
        return ":".join(map(str, parts))


class AnnCollectionRows(OwnedHandle):
    """AnnCollection: reading gives its view, which has ``.to_adata()`` and reads when it is asked for values."""

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: NDArray[np.int64]) -> Any:
        """Return a view of the cells."""
        return self.source[rows]

    def fingerprint(self) -> str:
        """Return shape and files."""
        return f"AnnCollection:{self.source.shape}:{[adata.filename for adata in self.source.adatas]}"


def adapt(source: Any) -> AnnDataRows | AnnCollectionRows | None:
    """Adapt AnnData and AnnCollection."""
    if isinstance(source, anndata.AnnData):
        return AnnDataRows(source, reopens=source.isbacked)
    if isinstance(source, AnnCollection):
        return AnnCollectionRows(source, reopens=any(adata.isbacked for adata in source.adatas))
    return None


def take(value: Any, rows: RowIndex) -> Any:
    """Take cells: a view."""
    return value[rows]

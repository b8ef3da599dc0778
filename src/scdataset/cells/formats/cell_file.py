"""The interface of one file of cells, whatever its format."""

from typing import Protocol

import pandas as pd

from scdataset.cells.columns import Column
from scdataset.engine.matrix import Matrix

__all__ = ["CellFile", "ObsFile"]


class ObsFile(Protocol):
    """A file, as far as its obs goes."""

    @property
    def path(self) -> str:
        """The file."""
        ...

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        ...

    @property
    def obs_keys(self) -> list[str]:
        """Columns of obs, in the order of the file."""
        ...

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells."""
        ...

    def column(self, name: str) -> Column:
        """Read a column of obs."""
        ...

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        ...


class CellFile(ObsFile, Protocol):
    """One file of cells, whatever its format."""

    @property
    def matrix(self) -> Matrix:
        """The values."""
        ...

    @property
    def var(self) -> pd.DataFrame:
        """The genes of the matrix."""
        ...

    def array(self, name: str) -> Matrix:
        """Return an array of obsm, dense or row-sparse."""
        ...

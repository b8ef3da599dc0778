"""One file of cells: the parts that all formats share."""

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import pandas as pd

from scdataset._paths import same_place
from scdataset._tables import counted
from scdataset.cells.columns import Column, ColumnValues, no_column
from scdataset.engine.bytes.folders import bytes_in, is_file
from scdataset.engine.bytes.object_store import is_url
from scdataset.engine.matrices.parts import Matrix
from scdataset.errors import ArgumentValueError, DamagedFileError

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

    def column_values(self, name: str) -> ColumnValues:
        """Read a column of obs as it is stored."""
        ...

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        ...


class CellFile(ABC):
    """One file of cells, whatever its format.

    A subclass sets the attributes, and returns genes and columns; names of cells and arrays of obsm where it has them.

    Attributes
    ----------
    path
        The file or folder.
    n_obs
        Number of cells.
    matrix
        The values.
    """

    path: str
    n_obs: int
    matrix: Matrix

    _kind: ClassVar[str]
    """Name of such a file in messages, with its article."""

    @property
    def address(self) -> str:
        """The canonical path of the file, or its URL."""
        return self.path if is_url(self.path) else same_place(self.path)

    @property
    def n_bytes(self) -> int:
        """Size of the file, 0 for a folder or a store."""
        return bytes_in(self.path) if not is_url(self.path) and is_file(self.path) else 0

    @property
    @abstractmethod
    def var(self) -> pd.DataFrame:
        """The genes of the matrix."""

    @property
    @abstractmethod
    def obs_keys(self) -> list[str]:
        """Columns of obs, in the order of the file."""

    @property
    def obs_names(self) -> pd.Index:
        """Names of the cells.

        Raises
        ------
        ArgumentValueError
            If they have none in files of this format.
        """
        message = f"{self.path} is {self._kind}, where cells have no names; tell them by row number."
        raise ArgumentValueError(message)

    def column(self, name: str) -> Column:
        """Read a column of obs.

        Raises
        ------
        ArgumentValueError
            If there is none of that name.
        DamagedFileError
            If it has not one value for each cell.
        """
        names = self.obs_keys
        if name not in names:
            raise no_column(self.path, name, names)
        column = Column.from_values(self._obs_values(name))
        if column.codes.shape != (self.n_obs,):
            message = (
                f"{self.path}: obs[{name!r}] has shape {column.codes.shape}, and there are "
                f"{counted(self.n_obs, 'cell')}."
            )
            raise DamagedFileError(message)
        return column

    def column_values(self, name: str) -> ColumnValues:
        """Read one of `obs_keys` as it is stored: an array, a categorical, or a masked array of pandas."""
        return self._obs_values(name)

    def array(self, name: str, group: str = "obsm") -> Matrix:
        """Return an array of obsm or obsp, dense or row-sparse.

        Raises
        ------
        ArgumentValueError
            If there is none of that name.
        CollectionError
            If it cannot be read by rows.
        DamagedFileError
            If it has not one row for each cell.
        """
        matrix = self._array(group, name)
        if matrix.shape[0] != self.n_obs:
            message = (
                f"{self.path}: {group}[{name!r}] has {counted(matrix.shape[0], 'row')}, and there are "
                f"{counted(self.n_obs, 'cell')}."
            )
            raise DamagedFileError(message)
        return matrix

    def members(self, group: str) -> list[str]:
        """Return the names in ``uns``, ``layers``, ``raw``, ``obsm``, ``obsp``, ``varm`` or ``varp`` of an AnnData.

        There are none in formats without such groups.
        """
        del group
        return []

    def member(self, group: str, name: str) -> object:
        """Read one of `members` whole, as anndata does."""
        message = f"{self.path} is {self._kind}, which has no {group}[{name!r}]."
        raise ArgumentValueError(message)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        self.matrix.close()

    @abstractmethod
    def _obs_values(self, name: str) -> ColumnValues:
        """Return the values of one of `obs_keys`, as `Column.from_values` takes them."""

    def _array(self, group: str, name: str) -> Matrix:
        """Return an array of obsm or obsp; a format that has none leaves this out."""
        message = f"{self.path} is {self._kind}, which has no {group}[{name!r}] or other arrays."
        raise ArgumentValueError(message)

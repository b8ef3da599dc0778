"""obs of a collection: its columns, read from the files when they are asked for, and the names of its cells."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import array, flag
from scdataset._arguments import names as checked_names
from scdataset._properties import cached_property
from scdataset._types import Array
from scdataset.cells.columns import Categories, Column, ColumnValues, joined, no_column
from scdataset.cells.formats.cell_file import ObsFile
from scdataset.cells.join.holdouts import Holdout, of_files, of_values, parted
from scdataset.cells.join.names import are_names, joined_names, rows_of_names
from scdataset.cells.join.origin import Origin
from scdataset.collections.multiindexable import row_index
from scdataset.engine.containers.handles import handles_open
from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = [
    "MANY",
    "HasObs",
    "Obs",
    "ObsColumns",
    "check_label",
    "each_closed",
    "in_order_of_rows",
    "joined_column",
    "tried_column",
]

F = TypeVar("F", bound=ObsFile)

MANY = 64
"""Files that stay open in the library that knows their format; with more, each is closed after use."""

_CACHED_BYTES = 1 << 28
"""Total size of cached columns that were read on demand; the latest ones stay."""


class Obs:
    """obs of several files, one below the other.

    Parameters
    ----------
    files
        The files, in the order of the rows.
    columns
        The columns that are in every batch, which are in memory.
    fill
        Whether files that lack a column have missing values there.
    origin
        How cells are told apart by their file.
    named
        Whether frames have the names of cells as their index; else they have row numbers.
    """

    def __init__(
        self,
        files: Sequence[ObsFile],
        columns: Mapping[str, Column],
        *,
        fill: bool = False,
        origin: Origin | None = None,
        named: bool = False,
    ) -> None:
        self.batch = dict(columns)
        self.n_obs = sum(file.n_obs for file in files)
        self.named = named
        self._files = files
        self._fill = fill
        self._origin = origin
        if origin is not None and origin.label is not None:
            self.batch[origin.label] = origin.column([file.n_obs for file in files])
        self._read: OrderedDict[str, Column] = OrderedDict()

    @property
    def files(self) -> tuple[list[str], list[int]]:
        """Paths of the files, and how many cells each has."""
        return [file.path for file in self._files], [file.n_obs for file in self._files]

    @cached_property
    def keys(self) -> list[str]:
        """Columns that any file has, in the order in which they come, and the label of the files."""
        return list(dict.fromkeys([name for keys in self._keys_by_file for name in keys] + self._label))

    @property
    def default_keys(self) -> list[str]:
        """Columns that can be read of all files: those that all have, or with ``fill`` those that any has."""
        shared = set.intersection(*map(set, self._keys_by_file)).union(self._label)
        return [name for name in self.keys if self._fill or name in shared]

    @property
    def _label(self) -> list[str]:
        return [] if self._origin is None or self._origin.label is None else [self._origin.label]

    @cached_property
    def _keys_by_file(self) -> list[list[str]]:
        with handles_open():
            return [file.obs_keys for file in self._each()]

    @cached_property
    def names(self) -> pd.Index:
        """Names of the cells, in the order of the rows."""
        with handles_open():
            names = [file.obs_names for file in self._each()]
        return self._joined_names(names)

    def each_names(self) -> Iterator[pd.Index]:
        """Yield the names of the cells of each file, of one at a time."""
        with handles_open():
            for number, file in enumerate(self._each()):
                names = file.obs_names
                yield names if self._origin is None else self._origin.names_of(number, names)

    def set_names(self, names: Sequence[pd.Index]) -> None:
        """Take the names of each file as they were read before."""
        self.names = self._joined_names(names)

    def _joined_names(self, names: Sequence[pd.Index]) -> pd.Index:
        return joined_names(names if self._origin is None else self._origin.names(names))

    @property
    def names_or_numbers(self) -> pd.Index:
        """Names of the cells where all files have them, else row numbers."""
        try:
            return self.names
        except ArgumentValueError:
            return pd.RangeIndex(self.n_obs)

    @property
    def index(self) -> pd.Index:
        """The index of frames."""
        return self.names if self.named else pd.RangeIndex(self.n_obs)

    def column(self, name: str) -> Column:
        """Return a column, from memory if it was read not long ago.

        Raises
        ------
        ArgumentValueError
            If no file has it.
        CollectionError
            If some files lack it or have it of another kind, and that is not to be filled.
        """
        if name in self.batch:
            return self.batch[name]
        if name not in self._read:
            if name not in self.keys:
                raise no_column("The collection" if len(self._files) > 1 else self._files[0].path, name, self.keys)
            with handles_open():
                read = [tried_column(file, name) for file in self._each()]
            self._read[name] = joined_column(name, read, self._files, fill=self._fill)
            while len(self._read) > 1 and sum(column.n_bytes for column in self._read.values()) > _CACHED_BYTES:
                self._read.popitem(last=False)
        self._read.move_to_end(name)
        return self._read[name]

    def stored(self, name: str) -> ColumnValues:
        """Return a column as pandas holds it, nullable where all files have it nullable and alike."""
        column = self.column(name)
        if column.categories is not None or any(name not in keys for keys in self._keys_by_file):
            return column.to_pandas()
        with handles_open():
            stored = [file.column_values(name) for file in self._each()]
        nullable = [pd.Series(one) for one in stored if isinstance(one, pd.api.extensions.ExtensionArray)]
        alike = len(nullable) == len(stored) and len({series.dtype for series in nullable}) == 1
        return pd.concat(nullable, ignore_index=True).array if alike else column.to_pandas()

    def frame(
        self,
        names: Sequence[str] | None,
        rows: NDArray[np.int64] | None = None,
        *,
        named: bool | None = None,
        copy: bool = True,
    ) -> pd.DataFrame:
        """Return columns as a frame, of all cells or of some rows in their order.

        Without ``copy`` it lies over the memory of the columns, and cannot be written to.
        """
        taken = slice(None) if rows is None else rows
        chosen = self.default_keys if names is None else checked_names("columns", names)
        columns = {name: self.column(name).taken(taken).to_pandas() for name in chosen}
        index = self.names if (self.named if named is None else named) else pd.RangeIndex(self.n_obs)
        return pd.DataFrame(columns, index=index[taken], columns=list(columns), copy=copy)

    def _each(self) -> Iterator[ObsFile]:
        return each_closed(self._files)

    def __getstate__(self) -> dict[str, object]:
        return {**{k: v for k, v in self.__dict__.items() if k != "names"}, "_read": OrderedDict()}


Condition: TypeAlias = Callable[[Any], ArrayLike] | ArrayLike
"""A function of obs that returns a boolean for each cell, or such booleans."""


class ObsColumns:
    """obs as a function of `HasObs.where` gets it: a column is read when it is asked for.

    ``obs["tissue"]``, ``obs[["tissue", "donor"]]`` and ``obs.tissue`` read these columns alone; anything else is asked
    of a frame of all columns.
    """

    def __init__(self, obs: Obs) -> None:
        self._obs = obs

    @property
    def columns(self) -> pd.Index:
        """Names of all columns."""
        return pd.Index(self._obs.keys, dtype=object)

    @cached_property
    def index(self) -> pd.Index:
        """Names of cells or row numbers, as in ``obs`` of the collection."""
        return self._obs.index

    @cached_property
    def _whole(self) -> pd.DataFrame:
        return self._obs.frame(None, copy=False)

    def __getitem__(self, key: Hashable | list[str]) -> "pd.Series | pd.DataFrame":
        if isinstance(key, str):
            return pd.Series(self._obs.column(key).to_pandas(), index=self.index, name=key, copy=False)
        if isinstance(key, list) and all(isinstance(name, str) for name in key):
            return self._obs.frame(key, copy=False)
        return self._whole[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        is_column = not hasattr(pd.DataFrame, name) and name in self._obs.keys
        return self[name] if is_column else getattr(self._whole, name)

    def __contains__(self, name: object) -> bool:
        return name in self._obs.keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._obs.keys)

    def __len__(self) -> int:
        return self._obs.n_obs


class HasObs:
    """Base of collections of cells that have columns of obs, those of batches and others that are read on demand."""

    _obs: Obs

    @property
    def file_sizes(self) -> list[int]:
        """Number of cells in each file, in the order of the rows."""
        return self._obs.files[1]

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return self._obs.frame(list(self._obs.batch), copy=False)

    @property
    def obs(self) -> pd.DataFrame:
        """The columns of obs that are in batches, labels as categories, shape ``(n_obs, n_columns)``.

        Its index are the names of cells if ``unique_names`` or ``index_unique`` was given, and row numbers otherwise.
        `obs_frame` reads other columns. Columns can be added to the frame and replaced in it, without effect on
        batches; their values lie in the memory that batches are taken from, and cannot be written to: take ``.copy()``
        for that.
        """
        return self._frame.copy(deep=False)

    @property
    def obs_names(self) -> pd.Index:
        """Names of all cells, shape ``(n_obs,)``; read when they are first asked for, and cached then.

        Several files may have cells of the same name; ``index_unique`` of `open_collection` tells those apart.
        """
        return self._obs.names

    @property
    def categories(self) -> dict[str, Array]:
        """Labels by column, in the order of the codes that are in batches."""
        labels = {name: c.categories for name, c in self._obs.batch.items() if c.categories is not None}
        return Categories(labels, self._obs.keys, list(self._obs.batch))

    def obs_keys(self) -> list[str]:
        """List the columns of obs there are, in batches or not, in the order of the file.

        Of several files these are the columns that any has. A column that some files lack is refused when it is read,
        unless the collection was opened with ``missing_obs="fill"``.

        Examples
        --------
        >>> cells.obs_keys()  # doctest: +SKIP
        ['cell_type', 'donor', 'n_counts']
        """
        return list(self._obs.keys)

    def obs_frame(self, columns: Sequence[str] | None = None, *, names: bool = False) -> pd.DataFrame:
        """Read columns of obs, in batches or not, for splits and sampling.

        Parameters
        ----------
        columns
            Names of columns; None for all that every file has, or with ``missing_obs="fill"`` all that any has.
        names
            Whether the index are the names of the cells. By default it is that of ``obs``: row numbers, which go as
            they are into the ``indices`` of a strategy, unless ``unique_names`` or ``index_unique`` was given.

        Returns
        -------
        pandas.DataFrame
            Shape ``(n_obs, n_columns)``, in the order asked for. Numbers and booleans are as in batches, float64 with
            NaN where nullable ones are missing; everything else is categorical.

        Raises
        ------
        ArgumentValueError
            If no file has a column; it names the nearest ones.
        CollectionError
            If some files lack a column, or have numbers where others have labels, without ``missing_obs="fill"``.

        Examples
        --------
        >>> frame = cells.obs_frame(["donor", "cell_type"])  # doctest: +SKIP
        >>> train = frame.index[frame["donor"] != "D3"]  # doctest: +SKIP
        >>> strategy = BlockShuffling(16, indices=train.to_numpy())  # doctest: +SKIP
        """
        return self._obs.frame(columns, named=flag("names", names) or None)

    def each_obs_names(self) -> Iterator[pd.Index]:
        """Yield the names of the cells of each file, of one at a time, for collections whose names take much memory.

        Raises
        ------
        ArgumentValueError
            If cells have no names in files of their format.
        """
        return self._obs.each_names()

    def obs_values(self, column: str) -> ColumnValues:
        """Read a column of obs as pandas holds it, shape ``(n_obs,)``: labels are categorical.

        Nullable numbers and booleans stay nullable, where all files store them in the same type; `obs_frame` has
        floats with NaN in place of those that are missing.
        """
        return self._obs.stored(column)

    def where(self, condition: Condition) -> NDArray[np.int64]:
        """Return the rows that fulfil a condition, ascending, for the ``indices`` of a strategy.

        Parameters
        ----------
        condition
            A function of obs that returns a boolean for each cell; it may use any column that `obs_keys` lists, and
            only those it uses are read. Or an array of booleans, shape ``(n_obs,)``; or a Series of booleans, which is
            aligned by its index: row numbers, or names of cells.

        Raises
        ------
        ArgumentValueError
            If that is of another type or shape, or a Series is of other cells.

        Examples
        --------
        ``BlockShuffling(block_size=16, indices=cells.where(lambda obs: obs["tissue"] == "heart"))``
        """
        given = condition(ObsColumns(self._obs)) if callable(condition) else condition
        aligned = in_order_of_rows(given, self._obs) if isinstance(given, pd.Series) else given
        mask = array("where", aligned, "booleans", None)
        if mask.dtype != np.bool_ or mask.shape != (self._obs.n_obs,):
            message = (
                f"where got {mask.dtype} of shape {mask.shape}; give booleans of shape ({self._obs.n_obs},), one a "
                'cell, or a function that makes them of obs, such as lambda obs: obs["tissue"] == "heart".'
            )
            raise ArgumentValueError(message)
        return np.flatnonzero(mask)

    def holdout(self, /, *unnamed: object, files: object = None, **columns: object) -> Holdout:
        """Hold out whole files, or the cells of some values, such as a donor or a perturbation.

        Parameters
        ----------
        files
            Paths or names of files, or one.
        **columns
            Columns of obs, each with a value or a list of values. Of several columns, and files, cells are held out
            that fulfil all, such as one perturbation in one cell type. Cells without a value stay in the rest. A name
            with a space goes as ``**{"cell type": "T cell"}``.

        Returns
        -------
        Holdout
            Rows of the rest and those held out, both ascending, for the ``indices`` of two strategies.

        Raises
        ------
        ArgumentValueError
            If there is no such file, column or value, or no cell is held out, or all are.

        Examples
        --------
        >>> train, test = cells.holdout(donor=["D3", "D7"])  # doctest: +SKIP
        >>> train, test = cells.holdout(files="plate_9.h5ad")  # doctest: +SKIP
        >>> loader = scDataset(cells, BlockShuffling(16, indices=train), 1024)  # doctest: +SKIP
        """
        if unnamed or (files is None and not columns):
            got = f", and got {', '.join(map(repr, unnamed))} without a name" if unnamed else ""
            message = f"holdout takes files=..., or a column of obs and its values, such as donor=['D3']{got}."
            raise ArgumentTypeError(message)
        masks = [of_values(name, self._obs.column(name), values) for name, values in columns.items()]
        masks += [] if files is None else [of_files(files, *self._obs.files)]
        given = [*([] if files is None else [f"files={files!r}"]), *(f"{name}={v!r}" for name, v in columns.items())]
        return parted(np.logical_and.reduce(masks), ", ".join(given))

    def rows_of(self, key: slice | ArrayLike) -> NDArray[np.int64]:
        """Return row numbers for a slice, a list or array of row numbers or names, or a mask, as in `where`."""
        values = in_order_of_rows(key, self._obs) if isinstance(key, pd.Series) and key.dtype.kind == "b" else key
        if are_names(values):
            return rows_of_names(values, self._obs.names)
        wanted = row_index(values, self._obs.n_obs)
        return np.arange(wanted.start, wanted.stop) if isinstance(wanted, slice) else wanted

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_frame"}


def in_order_of_rows(given: "pd.Series | pd.DataFrame", obs: Obs) -> Array:
    """Return the values of a Series or frame in the order of the rows, which its index tells."""
    rows = pd.RangeIndex(obs.n_obs)
    if given.index.equals(rows) or len(given) != obs.n_obs:
        return given.to_numpy()
    index = rows if given.index.dtype.kind in "iu" else obs.names
    if index.equals(given.index):
        return given.to_numpy()
    if not (index.is_unique and given.index.is_unique and index.isin(given.index).all()):
        message = (
            f"A {type(given).__name__} with the index {given.index[:3].tolist()}, ..., which cannot be aligned to "
            f"{index[:3].tolist()}, ... of the cells, each once; give its values to have them taken by position."
        )
        raise ArgumentValueError(message)
    return given.reindex(index).to_numpy()


def each_closed(files: Iterable[F]) -> Iterator[F]:
    """Yield files; of many, none stays open."""
    several = list(files)
    for file in several:
        yield file
        if len(several) > MANY:
            file.close()


def check_label(file: ObsFile, label: str | None) -> None:
    """Raise if a file has a column of the name that the collection gives to the file of origin."""
    if label is not None and label in file.obs_keys:
        message = f"label={label!r} is a column of obs in {file.path}; give another name, or leave it out."
        raise ArgumentValueError(message)


def tried_column(file: ObsFile, name: str) -> Column | ArgumentValueError:
    """Return a column, or the error that names those there are: other files may have it."""
    try:
        return file.column(name)
    except ArgumentValueError as error:
        return error.with_traceback(None)


def joined_column(
    name: str, read: Sequence[Column | ArgumentValueError], files: Sequence[ObsFile], *, fill: bool
) -> Column:
    """Return a column of all files, some of which may lack it."""
    refused = [column for column in read if isinstance(column, ArgumentValueError)]
    if len(refused) == len(read):
        raise refused[0]
    columns = [column if isinstance(column, Column) else None for column in read]
    return joined(name, columns, [file.path for file in files], [file.n_obs for file in files], fill=fill)

"""Which rows take part: all of them, a range, sorted indices, or bits. Position in, row out."""

import reprlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import array as as_array
from scdataset._arguments import one_axis, warn
from scdataset._properties import cached_property
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError
from scdataset.strategy.bitmap import Bitmap
from scdataset.strategy.names import NamedRows, names_of, places_of, rows_of

__all__ = ["AlignedTo", "Rows", "Selection"]

AlignedTo = Literal["auto", "collection", "indices"]

_ALLOWED = "integers, a boolean mask over the collection, or names of cells"


@dataclass(frozen=True, slots=True)
class Rows:
    """Ascending rows of a collection: ``listed[k]`` or the k-th of a set if there is one, else ``start + step * k``.

    Attributes
    ----------
    count
        Number of rows.
    start, step
        First row and distance between rows, where there is neither a list nor a set.
    listed
        The rows, shape ``(count,)``, ascending, or shape ``(0,)``.
    bits
        The set of the rows, or an empty one.
    """

    count: int
    start: int = 0
    step: int = 1
    listed: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    bits: Bitmap = field(default_factory=Bitmap.none)

    @classmethod
    def from_list(cls, rows: NDArray[np.int64]) -> "Rows":
        """Keep ascending rows: as they are, or as bits if these are fewer."""
        bits = Bitmap.replacing(rows)
        return cls(rows.size, bits=bits) if bits.ranks.size else cls(rows.size, listed=rows)

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_]) -> "Rows":
        """Keep the rows where a mask is True."""
        count = int(np.count_nonzero(mask))
        if Bitmap.is_smaller(count, mask.size):
            return cls(count, bits=Bitmap.from_mask(mask))
        return cls(count, listed=np.flatnonzero(mask))

    @property
    def is_range(self) -> bool:
        """Whether the rows are equally far apart, by ``start`` and ``step``."""
        return not self.listed.size and not self.bits.ranks.size

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows at ``positions``, each in [0, count)."""
        if self.bits.ranks.size:
            return self.bits.at(positions)
        if self.listed.size:
            return self.listed[positions]
        if self.start == 0 and self.step == 1:
            return positions
        return self.start + self.step * positions

    def between(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        if self.bits.ranks.size:
            return self.bits.between(start, stop)
        if self.listed.size:
            return self.listed[start:stop].copy()
        return np.arange(self.start + self.step * start, self.start + self.step * stop, self.step)

    def taken(self, values: Array) -> Array:
        """Return the entries of ``values`` at these rows, shape ``(count,)``: a view of it where that is possible."""
        if self.bits.ranks.size:
            return self.bits.taken(values)
        if self.listed.size:
            return values[self.listed]
        if self.count == values.size:
            return values
        return values[self.start : self.start + self.step * self.count : self.step]

    def pieces(self) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of a list or a set, a part of them at a time."""
        return self.bits.pieces() if self.bits.ranks.size else iter([self.listed])


class Selection:
    """The ``indices`` argument of a strategy: checked when given, and again when the number of rows is known.

    Parameters
    ----------
    indices
        None for all rows, a ``range``, integers, a boolean mask over the collection, or names of cells. Integers that
        are not ascending are sorted, with a `UserWarning`; a row that is listed twice is sampled twice, with a
        `UserWarning`.
    has_values
        Keyword only. Whether values may be given one an index.

    Attributes
    ----------
    names
        Names of the selected cells that have yet to be found in a collection, shape ``(count,)``, or None.
    sorting
        Where each row stood among indices that were not ascending, shape ``(count,)``, int32 where that is enough;
        None if they were, or if ``has_values`` is False.
    """

    def __init__(self, indices: ArrayLike | range | None, *, has_values: bool = True) -> None:
        self._has_values = has_values
        self.mask_length: int | None = None
        self.sorting: Array | None = None
        self.names: Array | None = None
        self.rows: Rows | None = None
        if indices is None:
            return
        if isinstance(indices, range) and indices.step > 0:
            self.rows = _rows_of_range(indices)
        else:
            self.rows = self._rows_of_array(one_axis(indices))
        if self.count == 0:
            self._warn_of_nothing()

    def __repr__(self) -> str:
        return "indices=None" if self.count is None else f"indices=<{self.count} rows>"

    @cached_property
    def given(self) -> Array | None:
        """The selected rows in ascending order, shape ``(count,)``, or None for all rows; names as they were given."""
        return self.names if self.rows is None else self.rows.between(0, self.rows.count)

    @property
    def count(self) -> int | None:
        """Number of selected rows, or None for all rows."""
        if self.names is not None:
            return self.names.size
        return None if self.rows is None else self.rows.count

    def found_in(self, rows: NamedRows) -> "Selection":
        """Return the selection by row numbers, where it is one by names."""
        if self.names is None:
            return self
        if self.mask_length is not None:
            self._check_mask(rows.n_rows)
        found = rows_of("indices", self.names, rows)
        numbers = np.arange(rows.n_rows) if found is None else found
        selection = Selection(None, has_values=self._has_values)
        selection.rows = Rows.from_list(selection._ascending(numbers, by_name=True))
        selection.mask_length = self.mask_length
        return selection

    def rows_of(self, n_rows: int) -> Rows:
        """Return the rows selected from a collection of ``n_rows``, refusing indices that it does not have."""
        if self.names is not None:
            message = (
                "indices goes by names, and the names of the collection are not known here; call "
                "epoch_order(data_collection, seed, epoch) in place of order, or give row numbers."
            )
            raise ArgumentValueError(message)
        if self.rows is None:
            return Rows(n_rows)
        self._check_mask(n_rows)
        if self.rows.count == 0:
            return self.rows
        last = int(self.rows.between(self.rows.count - 1, self.rows.count)[0])
        if last >= n_rows:
            message = (
                f"indices has row {last} and the collection has {counted(n_rows, 'row')}; "
                f"rows are numbered from 0 to {n_rows - 1}."
            )
            raise ArgumentIndexError(message)
        return self.rows

    def target(self, name: str, n_values: int, n_rows: int, aligned_to: str) -> Literal["collection", "indices"]:
        """Tell whether ``n_values`` values, given as the argument ``name``, belong to rows or to selected rows.

        ``"auto"`` goes by the length, and where both fit takes ``"collection"``.
        """
        n_selected = n_rows if self.count is None else self.count
        in_collection = n_values == n_rows if aligned_to == "auto" else aligned_to == "collection"
        if n_values != (n_rows if in_collection else n_selected):
            message = (
                f"{name} has length {n_values}; give one a row of the collection ({n_rows}) or one an "
                f"index ({n_selected}), as aligned_to={aligned_to!r} says."
            )
            raise ArgumentValueError(message)
        return "collection" if in_collection else "indices"

    def check_length(self, name: str, n_values: int) -> None:
        """Refuse values, given as the argument ``name``, that are fewer than the indices."""
        if self.count is not None and n_values < self.count:
            message = (
                f"{name} has length {n_values} and indices selects {counted(self.count, 'row')}; give one a row of "
                f"the collection or one an index ({self.count})."
            )
            raise ArgumentValueError(message)

    def align(
        self,
        name: str,
        values: Array,
        n_rows: int,
        aligned_to: str,
        owners: NDArray[np.int64] | None = None,
    ) -> tuple[Array, Rows]:
        """Return the values and where the selected rows stand in them.

        Parameters
        ----------
        owners
            The row of each value, shape ``(n_values,)``, where values are told by name; None if they go by position.
        """
        selected = self.rows_of(n_rows)
        if owners is not None:
            places = places_of(name, selected.between(0, selected.count), owners, n_rows)
            return values, Rows(selected.count, listed=places)
        if self.target(name, values.size, n_rows, aligned_to) == "collection":
            return values, selected
        return (values if self.sorting is None else values[self.sorting]), Rows(selected.count)

    def _check_mask(self, n_rows: int) -> None:
        if self.mask_length not in (None, n_rows):
            message = (
                f"indices is a boolean mask of length {self.mask_length:,} and the collection has "
                f"{counted(n_rows, 'row')}; give a mask with one entry a row, or the row numbers."
            )
            raise ArgumentValueError(message)

    def _warn_of_nothing(self) -> None:
        if self.mask_length is not None:
            message = (
                f"indices is a boolean mask of length {self.mask_length} that is False everywhere, so that no row "
                "takes part; the condition that it was made by matched no cell."
            )
            raise ArgumentValueError(message)
        warn(
            "indices is empty: no row takes part, and there are no batches. If it comes from a condition, the "
            "condition matched no cell."
        )

    def _rows_of_array(self, indices: object) -> Rows | None:
        """Return the rows, or None if they are given by names, which are kept."""
        array = as_array("indices", indices, _ALLOWED, kinds=None)
        if array.ndim == 0:
            message = f"indices={reprlib.repr(indices)} is of type {type(indices).__name__}; give {_ALLOWED}."
            raise ArgumentValueError(message)
        if array.ndim != 1:
            message = f"indices has shape {array.shape}; give a one-dimensional sequence of row numbers."
            raise ArgumentValueError(message)
        if _is_mask(array):
            array = array.astype(bool)
            self.mask_length = array.size
            names = names_of(indices)
            if names is not None and array.any():
                self.names = names[array]
                return None
            return Rows.from_mask(array)
        if _are_strings(array):
            self.names = array
            return None
        _check_numbers(array)
        return Rows.from_list(self._ascending(array.astype(np.int64, copy=False)))

    def _ascending(self, rows: NDArray[np.int64], *, by_name: bool = False) -> NDArray[np.int64]:
        if np.any(rows[1:] < rows[:-1]):
            if not by_name:  # whose order says nothing about that of the rows
                warn(
                    "indices is not in ascending order: it is read as a set of rows and sorted, because blocks are "
                    "neighbours on disk. Per-index weights and labels follow their index. Sort it to silence this.",
                )
            rows = self._sorted(rows)
        repeated = int(np.count_nonzero(rows[1:] == rows[:-1]))
        if repeated:
            warn(
                f"indices lists {counted(repeated, 'row')} more than once: each is sampled as often as it is listed. "
                "Give np.unique(indices) to sample each once.",
            )
        return rows

    def _sorted(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self._has_values:
            return np.sort(rows)
        sorting = np.argsort(rows, kind="stable")
        self.sorting = sorting.astype(np.int32 if rows.size <= np.iinfo(np.int32).max else np.int64)
        return rows[sorting]


def _rows_of_range(indices: range) -> Rows:
    if len(indices) and indices[0] < 0:
        message = f"indices={indices!r} has negative values; rows are numbered from 0, never from the end."
        raise ArgumentValueError(message)
    return Rows(len(indices), indices.start, indices.step)


def _check_numbers(array: Array) -> None:
    """Raise unless these are numbers that rows can have."""
    if array.size and array.dtype.kind not in "iu":
        message = f"indices has dtype {array.dtype}{_other_than_rows(array)}; give {_ALLOWED}."
        raise ArgumentTypeError(message)
    if array.size and array.min() < 0:
        message = f"indices has the negative value {array.min()}; rows are numbered from 0, never from the end."
        raise ArgumentValueError(message)
    if array.size and array.max() > np.iinfo(np.int64).max:
        message = f"indices has row {array.max()}, which no collection has; rows are numbered from 0."
        raise ArgumentValueError(message)


def _is_mask(array: Array) -> bool:
    """Tell whether these are booleans, also as objects, which pandas makes of nullable ones."""
    if array.dtype.kind == "O":
        return array.size > 0 and all(isinstance(value, (bool, np.bool_)) for value in array)
    return array.dtype == np.bool_


def _other_than_rows(array: Array) -> str:
    """Return the part of a message that shows the first object that is neither a row number nor a boolean."""
    objects = array.tolist() if array.dtype.kind == "O" else []
    return next((f", with {value!r} among its values" for value in objects if not isinstance(value, int)), "")


def _are_strings(array: Array) -> bool:
    if array.dtype.kind == "O":
        return array.size > 0 and all(isinstance(value, str) for value in array)
    return array.dtype.kind in "UT"

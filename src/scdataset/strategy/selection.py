"""Which rows take part: all of them, a range, or sorted indices. Position in, row out, nothing copied."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import warn
from scdataset.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError

__all__ = ["AlignedTo", "Rows", "Selection"]

AlignedTo = Literal["auto", "collection", "indices"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Ascending rows of a collection: ``listed[k]`` where there is a list, else ``start + step * k``.

    Attributes
    ----------
    count
        Number of rows.
    start, step
        First row and distance between rows, where nothing is listed.
    listed
        The rows, shape ``(count,)``, ascending, or shape ``(0,)``.
    """

    count: int
    start: int = 0
    step: int = 1
    listed: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows at ``positions``, each in [0, count)."""
        if self.listed.size:
            return self.listed[positions]
        if self.start == 0 and self.step == 1:
            return positions
        return self.start + self.step * positions

    def between(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        if self.listed.size:
            return self.listed[start:stop].copy()
        return np.arange(self.start + self.step * start, self.start + self.step * stop, self.step)

    def taken(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the entries of ``values`` at these rows, shape ``(count,)``: a view of it where that is possible."""
        if self.listed.size:
            return values[self.listed]
        if self.count == values.size:
            return values
        return values[self.start : self.start + self.step * self.count : self.step]


class Selection:
    """The ``indices`` argument of a strategy: checked when given, and again when the number of rows is known.

    Parameters
    ----------
    indices
        None for all rows, a ``range``, integers, or a boolean mask over the collection. Integers that are not ascending
        are sorted, with a `UserWarning`; a row that is listed twice is sampled twice, with a `UserWarning`.
    """

    def __init__(self, indices: ArrayLike | range | None) -> None:
        self.mask_length: int | None = None
        self.sorting: NDArray[np.int64] | None = None
        self.rows: Rows | None = None
        if indices is None:
            return
        if isinstance(indices, range) and indices.step > 0:
            self.rows = _rows_of_range(indices)
        else:
            self.rows = self._rows_of_array(indices)
        if self.rows.count == 0:
            message = "indices selects no row; give at least one, or None for all rows."
            raise ArgumentValueError(message)

    def __repr__(self) -> str:
        return "indices=None" if self.rows is None else f"indices=<{self.rows.count} rows>"

    @cached_property
    def given(self) -> NDArray[np.int64] | None:
        """The selected rows in ascending order, shape ``(count,)``, or None for all rows."""
        return None if self.rows is None else self.rows.between(0, self.rows.count)

    @property
    def count(self) -> int | None:
        """Number of selected rows, or None for all rows."""
        return None if self.rows is None else self.rows.count

    def of(self, n_rows: int) -> Rows:
        """Return the rows selected from a collection of ``n_rows``, refusing indices that it does not have."""
        if self.rows is None:
            return Rows(n_rows)
        if self.mask_length not in (None, n_rows):
            message = (
                f"indices is a boolean mask of length {self.mask_length} and the collection has {n_rows} rows; "
                "give a mask with one entry a row, or the row numbers."
            )
            raise ArgumentValueError(message)
        last = int(self.rows.between(self.rows.count - 1, self.rows.count)[0])
        if last >= n_rows:
            message = (
                f"indices has row {last} and the collection has {n_rows} rows; "
                f"rows are numbered from 0 to {n_rows - 1}."
            )
            raise ArgumentIndexError(message)
        return self.rows

    def target(self, name: str, n_values: int, n_rows: int, aligned_to: str) -> Literal["collection", "indices"]:
        """Return what ``n_values`` values, given as the argument ``name``, belong to: rows or selected rows.

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

    def align(self, name: str, values: NDArray[Any], n_rows: int, aligned_to: str) -> tuple[NDArray[Any], Rows]:
        """Return the values and where the selected rows stand in them."""
        selected = self.of(n_rows)
        if self.target(name, values.size, n_rows, aligned_to) == "collection":
            return values, selected
        return (values if self.sorting is None else values[self.sorting]), Rows(selected.count)

    def _rows_of_array(self, indices: ArrayLike) -> Rows:
        array = np.asarray(indices)
        if array.ndim != 1:
            message = f"indices has shape {array.shape}; give a one-dimensional sequence of row numbers."
            raise ArgumentValueError(message)
        if array.dtype == np.bool_:
            self.mask_length = array.size
            return Rows(int(np.count_nonzero(array)), listed=np.flatnonzero(array))
        if array.size and array.dtype.kind not in "iu":
            message = f"indices has dtype {array.dtype}; give integers, or a boolean mask over the collection."
            raise ArgumentTypeError(message)
        if array.size and array.min() < 0:
            message = f"indices has the negative value {array.min()}; rows are numbered from 0, never from the end."
            raise ArgumentValueError(message)
        if array.size and array.max() > np.iinfo(np.int64).max:
            message = f"indices has row {array.max()}, which no collection has; rows are numbered from 0."
            raise ArgumentValueError(message)
        rows = array.astype(np.int64, copy=False)
        return Rows(rows.size, listed=self._ascending(rows))

    def _ascending(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if np.any(rows[1:] < rows[:-1]):
            warn(
                "indices is not in ascending order: it is read as a set of rows and sorted, because blocks are "
                "neighbours on disk. Per-index weights and labels follow their index. Sort it to silence this.",
            )
            self.sorting = np.argsort(rows, kind="stable")
            rows = rows[self.sorting]
        repeated = int(np.count_nonzero(rows[1:] == rows[:-1]))
        if repeated:
            warn(
                f"indices lists {repeated} rows more than once: each is sampled as often as it is listed. "
                "Give np.unique(indices) to sample each once.",
            )
        return rows


def _rows_of_range(indices: range) -> Rows:
    if len(indices) and indices[0] < 0:
        message = f"indices={indices!r} has negative values; rows are numbered from 0, never from the end."
        raise ArgumentValueError(message)
    return Rows(len(indices), indices.start, indices.step)

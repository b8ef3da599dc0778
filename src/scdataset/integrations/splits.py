"""Which cells train and which are held out, in the forms in which users say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import warn
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.collections import as_collection
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError, ScDatasetError
from scdataset.strategy import Streaming
from scdataset.strategy.base import count_rows

__all__ = ["ALL", "REST", "Split", "check_split", "splits_of"]

ALL = "all"
REST = "rest"

_ALLOWED = (
    'row numbers, a boolean mask, a function of obs, a dict such as {"donor": ["D3"]} or {"files": ["plate_9.h5ad"]}, '
    '"all", or None for none'
)


@dataclass(frozen=True, slots=True)
class Split:
    """The cells of one split.

    Attributes
    ----------
    indices
        As strategies take them: None for all rows, a boolean mask, or rows of which some are listed twice.
    mask
        Which rows take part, shape ``(n_rows,)``.
    """

    indices: Array | None
    mask: NDArray[np.bool_]

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_]) -> "Split":
        """Return the split of the rows where a mask is True."""
        return cls(None if mask.all() else mask, mask)

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows, ascending."""
        return np.flatnonzero(self.mask)


def check_split(name: str, wanted: object) -> None:
    """Raise unless ``wanted`` may tell the cells of the split ``name``."""
    if isinstance(wanted, str) and wanted not in ((ALL, REST) if name == "train" else (ALL,)):
        also = ' or "rest"' if name == "train" else ""
        message = f"{name}={wanted!r} is not known; give {_ALLOWED}{also}."
        raise ArgumentValueError(message)
    if isinstance(wanted, Mapping) and (not wanted or not all(isinstance(key, str) for key in wanted)):
        message = f"{name}={dict(wanted)!r}; give columns of obs and their values, such as {{'donor': ['D3']}}."
        raise ArgumentValueError(message)
    if isinstance(wanted, (bool, int, float, bytes, set, frozenset)):
        message = f"{name}={wanted!r} is of type {type(wanted).__name__}; give {_ALLOWED}."
        raise ArgumentTypeError(message)


def splits_of(collection: object, wanted: Mapping[str, object], disjoint: Sequence[str]) -> dict[str, Split]:
    """Return splits of a collection; "rest" is every cell that the ``disjoint`` others leave.

    Parameters
    ----------
    collection
        The collection.
    wanted
        By the name of each split, its cells; those that are None are left out.
    disjoint
        Splits that should not share cells.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        If cells are told in a way that does not fit the collection, or a split has none; the message begins with the
        name of the split.
    """
    n_rows = len(as_collection(collection))
    rest = [name for name, one in wanted.items() if isinstance(one, str) and one == REST]
    given = {name: one for name, one in wanted.items() if one is not None and name not in rest}
    splits = {name: _split(name, one, collection, n_rows) for name, one in given.items()}
    taken = [splits[name].mask for name in disjoint if name in splits]
    for name in rest:
        splits[name] = Split.from_mask(~np.logical_or.reduce([np.zeros(n_rows, bool), *taken]))
    for name, split in splits.items():
        if not split.mask.any():
            message = (
                f"{name}={_shown(wanted[name])} has none of the {counted(n_rows, 'cell')}; every split needs some."
            )
            raise ArgumentValueError(message)
    _warn_of_shared_cells({name: splits[name] for name in disjoint if name in splits})
    return splits


def _split(name: str, wanted: object, collection: object, n_rows: int) -> Split:
    if isinstance(wanted, str):
        return Split(None, np.ones(n_rows, bool))
    try:
        rows = _rows(wanted, collection, n_rows)
    except ScDatasetError as error:
        message = f"{name}: {error}"
        raise type(error)(message) from error
    mask = np.zeros(n_rows, bool)
    mask[rows] = True
    return Split.from_mask(mask) if np.count_nonzero(mask) == rows.size else Split(rows, mask)


def _rows(wanted: Any, collection: Any, n_rows: int) -> NDArray[np.int64]:
    """Return row numbers, ascending."""
    if not callable(wanted) and not isinstance(wanted, Mapping):
        entries_are_rows = count_rows(collection) == n_rows  # those of a list of AnnData are not
        return Streaming(indices=wanted).get_indices(collection if entries_are_rows else range(n_rows))
    if not hasattr(collection, "holdout"):
        message = (
            f"Columns and files are asked for, and a {type(collection).__name__} is no collection of cells in files; "
            "open it with open_collection, or give row numbers."
        )
        raise CollectionError(message)
    rows: NDArray[np.int64] = collection.where(wanted) if callable(wanted) else collection.holdout(**wanted).held_out
    return rows


def _warn_of_shared_cells(splits: Mapping[str, Split]) -> None:
    for (name, split), (other, compared) in combinations(splits.items(), 2):
        n_shared = int(np.count_nonzero(split.mask & compared.mask))
        if n_shared:
            warn(
                f"{name} and {other} share {counted(n_shared, 'cell')}, so that what is measured on {other} was "
                'trained on or chosen by. Give splits without common cells, or train="rest".'
            )


def _shown(wanted: object) -> str:
    return repr(wanted) if isinstance(wanted, (str, Mapping)) else f"<{type(wanted).__name__}>"

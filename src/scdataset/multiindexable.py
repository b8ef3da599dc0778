"""MultiIndexable: several modalities of the same rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset.collections import Collection, as_collection
from scdataset.collections.memory import InMemory
from scdataset.collections.rows import RowIndex, take_rows
from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["MultiIndexable"]


class MultiIndexable:
    """Several modalities of the same rows, indexed together.

    Parameters
    ----------
    *indexables
        Modalities by position, or one dict of modalities by name. Each is anything that `as_collection` takes, and all
        have the same number of rows.
    names
        Names of the modalities by position. Without modalities by position it is itself a modality of that name.
    unstructured
        What belongs to the whole and not to rows, such as gene names: carried along as it is.
    **named_indexables
        Modalities by name, where none is given by position.

    Raises
    ------
    ArgumentTypeError
        Modalities both by position and by name; names that are not strings; ``unstructured`` that is not a dict.
    ArgumentValueError
        Modalities of different lengths; names that are too few, too many or repeated.

    Examples
    --------
    >>> cells = MultiIndexable(X=np.eye(4), label=["a", "b", "c", "d"], unstructured={"genome": "GRCh38"})
    >>> cells[[3, 0]]["label"], cells[1:3]["X"].shape, cells.names
    (['d', 'a'], (2, 4), ['X', 'label'])
    """

    def __init__(
        self,
        *indexables: Any,
        names: Any = None,
        unstructured: dict[str, Any] | None = None,
        **named_indexables: Any,
    ) -> None:
        if unstructured is not None and not isinstance(unstructured, dict):
            message = (
                f"unstructured is of type {type(unstructured).__name__}; give a dict. A modality of that name goes "
                'in a dict of modalities: MultiIndexable({"unstructured": ...}).'
            )
            raise ArgumentTypeError(message)
        self._set(_named(indexables, names, named_indexables), unstructured or {})
        lengths = {name: len(as_collection(modality)) for name, modality in self._modalities.items()}
        if len(set(lengths.values())) > 1:
            message = f"Modalities differ in length: {lengths}; give as many rows of each."
            raise ArgumentValueError(message)

    def _set(self, modalities: dict[str | int, Any], unstructured: dict[str, Any]) -> None:
        self._modalities = modalities
        self._collections: dict[str | int, Collection] = {}
        self.unstructured = unstructured

    def _with(self, modalities: dict[str | int, Any]) -> Self:
        """Return the same container over other values of the modalities."""
        new = type(self).__new__(type(self))
        new._set(modalities, self.unstructured)
        return new

    @property
    def names(self) -> list[str] | None:
        """Names of the modalities, or None if they were given by position alone."""
        names = [name for name in self._modalities if isinstance(name, str)]
        return names or None

    @property
    def count(self) -> int:
        """Number of modalities."""
        return len(self._modalities)

    @property
    def unstructured_keys(self) -> list[str]:
        """Names of what is carried along."""
        return list(self.unstructured)

    def keys(self) -> list[str | int]:
        """Return names of the modalities, or their positions."""
        return list(self._modalities)

    def values(self) -> list[Any]:
        """Return the modalities."""
        return list(self._modalities.values())

    def items(self) -> list[tuple[str | int, Any]]:
        """Return pairs of name, or position, and modality."""
        return list(self._modalities.items())

    def __len__(self) -> int:
        return next((len(self._collection(name)) for name in self._modalities), 0)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the modalities, so that ``x, y = batch`` works."""
        return iter(self._modalities.values())

    def __contains__(self, name: object) -> bool:
        return name in self._modalities

    def __repr__(self) -> str:
        modalities = ", ".join(f"{name}: {type(value).__name__}" for name, value in self._modalities.items())
        return f"MultiIndexable({len(self)} rows of {{{modalities}}}, unstructured={self.unstructured_keys})"

    def __getitem__(self, key: Any) -> Any:
        """Return a modality for a name or an integer, and a `MultiIndexable` of some rows for a slice, list or array."""
        if isinstance(key, str):
            if key not in self._modalities:
                message = f"No modality {key!r}; there are {self.keys()}."
                raise KeyError(message)
            return self._modalities[key]
        if not isinstance(key, (slice, list, tuple)) and np.ndim(key) == 0:
            return self._by_position(key)
        rows = _row_index(key, len(self))
        return self._with({name: self._take(name, rows) for name in self._modalities})

    def read(self, rows: NDArray[np.int64]) -> Self:
        """Return some rows of every modality."""
        return self._with({name: self._take(name, rows) for name in self._modalities})

    def fingerprint(self) -> str:
        """Return the fingerprints of the modalities."""
        return ";".join(f"{name}={self._collection(name).fingerprint()}" for name in self._modalities)

    def pin_memory(self) -> Self:
        """Return the same with every tensor in pinned memory; a DataLoader calls it for ``pin_memory=True``."""
        return self._with({n: v.pin_memory() if hasattr(v, "pin_memory") else v for n, v in self._modalities.items()})

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Return the same with every tensor moved, as ``torch.Tensor.to`` does with these arguments."""
        return self._with({n: v.to(*args, **kwargs) if hasattr(v, "to") else v for n, v in self._modalities.items()})

    def _by_position(self, position: Any) -> Any:
        if isinstance(position, (bool, np.bool_)) or not hasattr(position, "__index__"):
            message = f"{position!r} is no index; give a name, an integer for a modality, or a slice or array of rows."
            raise IndexError(message)
        if not -self.count <= position < self.count:
            message = f"No modality {position}; there are {self.count}. Rows are taken with a slice, list or array."
            raise IndexError(message)
        return self.values()[position]

    def _collection(self, name: str | int) -> Collection:
        if name not in self._collections:
            self._collections[name] = as_collection(self._modalities[name])
        return self._collections[name]

    def _take(self, name: str | int, rows: RowIndex) -> Any:
        collection = self._collection(name)
        if not isinstance(rows, slice):
            return collection.read(rows)
        if isinstance(collection, InMemory):
            return take_rows(collection.source, rows)
        return collection.read(np.arange(rows.start, rows.stop))


def _named(indexables: tuple[Any, ...], names: Any, named_indexables: dict[str, Any]) -> dict[str | int, Any]:
    """Return the modalities by name, or by position where they have none."""
    if not indexables:
        return {**named_indexables} if names is None else {**named_indexables, "names": names}
    if named_indexables:
        message = f"{len(indexables)} modalities by position and {list(named_indexables)} by name; give all one way."
        raise ArgumentTypeError(message)
    if len(indexables) == 1 and isinstance(indexables[0], Mapping):
        if names is not None:
            message = f"names={names!r} with a dict of modalities, which has names; leave names out."
            raise ArgumentTypeError(message)
        _check_names(list(indexables[0]), len(indexables[0]))
        return dict(indexables[0])
    if names is None:
        return dict(enumerate(indexables))
    _check_names(names, len(indexables))
    return dict(zip(names, indexables, strict=True))


def _check_names(names: Sequence[Any], count: int) -> None:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        message = f"names={names!r}; give a list of strings."
        raise ArgumentTypeError(message)
    if len(names) != count or len(set(names)) != count:
        message = f"names={names!r} for {count} modalities; give a different name for each."
        raise ArgumentValueError(message)


def _row_index(key: slice | ArrayLike, n_rows: int) -> RowIndex:
    """Return rows as numpy would read them: from the end if negative, and chosen by a boolean mask."""
    if isinstance(key, slice):
        start, stop, step = key.indices(n_rows)
        return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step)
    rows = np.asarray(key)
    if rows.dtype == np.bool_ and rows.shape == (n_rows,):
        return np.flatnonzero(rows)
    if rows.size == 0:
        return np.empty(0, np.int64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        message = f"Rows of shape {rows.shape} and dtype {rows.dtype}; give integers, or a mask of length {n_rows}."
        raise IndexError(message)
    if rows.min() < -n_rows or rows.max() >= n_rows:
        message = f"Rows from {rows.min()} to {rows.max()} of a collection with {n_rows} rows."
        raise IndexError(message)
    return np.where(rows < 0, rows + n_rows, rows).astype(np.int64, copy=False)

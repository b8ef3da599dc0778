"""MultiIndexable: several modalities of the same rows."""

import operator
import reprlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._properties import cached_property
from scdataset._tables import counted
from scdataset._types import RowData
from scdataset.collections.base import Collection, as_collection
from scdataset.collections.device import as_tensor
from scdataset.collections.handles import OwnedHandle
from scdataset.collections.memory import BatchTaker, Fetched, InMemory
from scdataset.collections.rows import ColumnList, RowIndex, RowList, Separable, alike, row_cutter, take_rows
from scdataset.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError

__all__ = ["MultiIndexable", "row_index"]

_MOVERS = ("accelerate", "lightning", "lightning_fabric", "pytorch_lightning")
"""Packages that call ``to`` for every batch of a loader, whatever is in it."""


class MultiIndexable(Separable):
    """Several modalities of the same rows, indexed together.

    Parameters
    ----------
    *indexables
        Modalities by position, or one dict of modalities by name. Each is anything that `as_collection` takes, and all
        have the same number of rows.
    names
        Names of the modalities by position. Without modalities by position it is itself a modality of that name.
    unstructured
        Data of the whole and not of rows, such as gene names: carried along as they are.
    **named_indexables
        Modalities by name, where none is given by position.

    Raises
    ------
    ArgumentTypeError
        No modality; modalities both by position and by name; names that are not strings; ``unstructured`` that is not
        a dict.
    ArgumentValueError
        An empty dict; modalities of different lengths; names that are too few, too many or repeated.

    Examples
    --------
    >>> cells = MultiIndexable(X=np.eye(4), label=["a", "b", "c", "d"], unstructured={"genome": "GRCh38"})
    >>> cells[[3, 0]]["label"], cells[1:3]["X"].shape, cells.names
    (['d', 'a'], (2, 4), ['X', 'label'])
    """

    _n_read: int | None = None
    """Number of rows where all modalities are as they were read."""

    def __init__(
        self,
        *indexables: RowData,
        names: object = None,
        unstructured: dict[str, object] | None = None,
        **named_indexables: object,
    ) -> None:
        if unstructured is not None and not isinstance(unstructured, dict):
            message = (
                f"unstructured is of type {type(unstructured).__name__}; give a dict. A modality of that name goes "
                'in a dict of modalities: MultiIndexable({"unstructured": ...}).'
            )
            raise ArgumentTypeError(message)
        modalities = _named(indexables, names, named_indexables)
        if not modalities:
            message = "No modality is given; give at least one: MultiIndexable(X=matrix, label=labels)."
            raise (ArgumentValueError if indexables else ArgumentTypeError)(message)
        self._set({name: as_collection(modality) for name, modality in modalities.items()}, modalities, unstructured)
        lengths = {name: len(collection) for name, collection in self._collections.items()}
        if len(set(lengths.values())) > 1:
            message = f"Modalities differ in length: {lengths}; give as many rows of each."
            raise ArgumentValueError(message)

    def _set(
        self,
        collections: Mapping[str | int, Collection],
        modalities: dict[str | int, object],
        unstructured: dict[str, object] | None,
    ) -> None:
        self._collections = collections
        self._modalities = modalities
        self.unstructured = {} if unstructured is None else unstructured

    @cached_property
    def _collections(self) -> Mapping[str | int, Collection]:
        n_rows = 0 if self._n_read is None else self._n_read
        return {name: Fetched.from_rows(value, n_rows) for name, value in self._modalities.items()}

    def _with(self, fetched: dict[str | int, RowData], n_rows: int) -> Self:
        """Return a container of the same modalities with other rows, those that were read."""
        return self.from_rows(
            {name: Fetched(value, n_rows).source for name, value in fetched.items()}, n_rows, self.unstructured
        )

    @classmethod
    def from_rows(
        cls, modalities: dict[Any, RowData], n_rows: int, unstructured: dict[str, object] | None = None
    ) -> Self:
        """Make one of modalities that were read, ``n_rows`` of each, at little more than the cost of the object."""
        new = cls.__new__(cls)
        new._modalities, new._n_read = modalities, n_rows  # noqa: SLF001 our own
        new.unstructured = {} if unstructured is None else unstructured
        return new

    @cached_property
    def _cutters(self) -> dict[str | int, Callable[[slice], object]]:
        """The function that cuts rows, by modality."""
        if self._n_read is not None:
            return {name: partial(row_cutter(value), value) for name, value in self._modalities.items()}
        return {name: _cutter(collection) for name, collection in self._collections.items()}

    def _over(self, collections: Mapping[str | int, Collection], modalities: dict[str | int, object]) -> Self:
        new = type(self).__new__(type(self))
        new._set(collections, modalities, self.unstructured)  # noqa: SLF001 our own
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
        """Names of the data carried along."""
        return list(self.unstructured)

    def keys(self) -> list[str | int]:
        """Return names of the modalities, or their positions."""
        return list(self._modalities)

    def values(self) -> list[Any]:
        """Return the modalities."""
        return [self._modality(name) for name in self._modalities]

    def items(self) -> list[tuple[str | int, Any]]:
        """Return pairs of name, or position, and modality."""
        return list(zip(self._modalities, self.values(), strict=True))

    def __len__(self) -> int:
        if self._n_read is not None:
            return self._n_read
        return next((len(collection) for collection in self._collections.values()), 0)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the modalities, so that ``x, y = batch`` works."""
        return iter(self.values())

    def __contains__(self, name: object) -> bool:
        return name in self._modalities

    def __repr__(self) -> str:
        modalities = ", ".join(f"{name}: {type(value).__name__}" for name, value in self._modalities.items())
        return f"MultiIndexable({counted(len(self), 'row')} of {{{modalities}}}, unstructured={self.unstructured_keys})"

    def __getitem__(self, key: Any) -> Any:
        """Return a modality for a name or integer, and a `MultiIndexable` of some rows for a slice, list or array."""
        if isinstance(key, str):
            if key not in self._modalities:
                raise KeyError(self._missing(key))
            return self._modality(key)
        if not isinstance(key, (slice, list, tuple)) and np.ndim(key) == 0:
            return self._by_position(key)
        rows = row_index(key, len(self))
        n_rows = rows.stop - rows.start if isinstance(rows, slice) else rows.size
        if isinstance(rows, slice) and self._n_read is not None:
            return self.from_rows(
                {name: take_rows(value, rows) for name, value in self._modalities.items()}, n_rows, self.unstructured
            )
        return self._with({name: _take(collection, rows) for name, collection in self._collections.items()}, n_rows)

    def read(self, rows: NDArray[np.int64]) -> Self:
        """Return some rows of every modality."""
        return self._with({name: collection.read(rows) for name, collection in self._collections.items()}, rows.size)

    def batch_taker(self, *, leave: bool) -> BatchTaker | None:
        """Return a function that takes rows of every modality, for one iteration; None unless all are in memory."""
        taking = {name: c.batch_taker(leave=leave) for name, c in self._collections.items() if isinstance(c, InMemory)}
        takers = {name: taker for name, taker in taking.items() if taker is not None}
        return partial(self._taken, takers) if takers.keys() == self._collections.keys() else None

    def _taken(self, takers: Mapping[str | int, BatchTaker], rows: NDArray[np.int64]) -> Self:
        return self.from_rows({name: take(rows) for name, take in takers.items()}, rows.size, self.unstructured)

    def cut(self, rows: slice) -> Self:
        """Return rows from start to stop, without holding the memory of the others."""
        modalities = {name: cut(rows) for name, cut in self._cutters.items()}
        return self.from_rows(modalities, rows.stop - rows.start, self.unstructured)

    def fingerprint(self) -> str:
        """Return the fingerprints of the modalities."""
        return ";".join(f"{name}={collection.fingerprint()}" for name, collection in self._collections.items())

    def pin_memory(self) -> Self:
        """Return the same with every tensor in pinned memory; a DataLoader calls it for ``pin_memory=True``."""
        return self._each(lambda _, value: value.pin_memory() if hasattr(value, "pin_memory") else value)

    def to(self, *args: object, **kwargs: object) -> Self:
        """Return the same as tensors, each moved as ``torch.Tensor.to`` does with these arguments.

        Arrays and lists of numbers become tensors, and sparse matrices CSR tensors. Lightning and Accelerate call this
        for every batch; there only tensors are moved, so that a training step gets the arrays that the loop gives.

        Raises
        ------
        ArgumentTypeError
            For a modality of strings, objects or frames, which has no tensor.
        """
        caller = sys._getframe(1).f_globals.get("__name__") or ""  # noqa: SLF001 inspect.currentframe is its other name
        return self._moved(args, kwargs, converts=caller.partition(".")[0] not in _MOVERS)

    def _moved(self, args: tuple[object, ...], kwargs: Mapping[str, object], *, converts: bool) -> Self:
        def move(name: str | int, value: RowData) -> RowData:
            if isinstance(value, MultiIndexable):
                return value._moved(args, kwargs, converts=converts)  # noqa: SLF001 our own
            tensor = as_tensor(name, value) if converts else value
            return tensor.to(*args, **kwargs) if hasattr(tensor, "to") else tensor

        return self._each(move)

    def _each(self, change: Callable[[str | int, RowData], RowData]) -> Self:
        collections, modalities = dict(self._collections), dict(self._modalities)
        for name, value in self.items():
            changed = _changed(value, partial(change, name))
            if changed is not value:
                collections[name] = window = Fetched(changed, len(self))
                modalities[name] = window.source
        return self._over(collections, modalities)

    def _missing(self, name: str) -> str:
        near = get_close_matches(name, filter(None, self.names or ()), 1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        return (
            f"No modality {name!r}; there are {self.keys()}.{meant} A column of obs is in batches if it was asked for: "
            f"open_collection(path, obs=[{name!r}]), or adata_to_mindex(batch, columns=[{name!r}])."
        )

    def _by_position(self, position: Any) -> object:
        if isinstance(position, (bool, np.bool_)) or not hasattr(position, "__index__"):
            message = f"{position!r} is no index; give a name, an integer for a modality, or a slice or array of rows."
            raise IndexError(message)
        if not -self.count <= position < self.count:
            message = f"No modality {position}; there are {self.count}. Rows are taken with a slice, list or array."
            raise IndexError(message)
        return self.values()[operator.index(position)]

    def _modality(self, name: str | int) -> object:
        """Return a modality, as it was given unless it is a file that this process has to open again."""
        collection = self._collections[name]
        return collection.source if isinstance(collection, OwnedHandle) else self._modalities[name]


def _take(collection: Collection, rows: RowIndex) -> object:
    if not isinstance(rows, slice):
        return collection.read(rows)
    if isinstance(collection, InMemory):
        return collection.take(rows)
    return collection.read(np.arange(rows.start, rows.stop))


def _cutter(collection: Collection) -> Callable[[slice], object]:
    if isinstance(collection, InMemory):
        plain = type(collection).cut is InMemory.cut
        return partial(row_cutter(collection.source), collection.source) if plain else collection.cut
    return partial(_read_part, collection)


def _read_part(collection: Collection, rows: slice) -> object:
    return Fetched(_take(collection, rows), rows.stop - rows.start).source


def _changed(value: RowData, change: Callable[[object], object]) -> object:
    """Return ``value`` with ``change`` made to it, or to its members if it is a dict, list or tuple.

    An unchanged value is returned itself.
    """
    if isinstance(value, Mapping):
        named = {name: _changed(member, change) for name, member in value.items()}
        return value if all(named[name] is member for name, member in value.items()) else named
    if isinstance(value, (list, tuple)) and not all(map(np.isscalar, value)):
        members = [_changed(member, change) for member in value]
        if all(new is old for new, old in zip(members, value, strict=True)):
            return value
        return alike(value, members) if isinstance(value, (tuple, ColumnList)) else RowList(members)
    return change(value)


def _named(indexables: tuple[RowData, ...], names: Any, named_indexables: dict[str, object]) -> dict[str | int, object]:
    """Return the modalities by name, or by position where they have none."""
    if not indexables:
        named: dict[str | int, RowData] = dict(named_indexables.items())
        return named if names is None else {**named, "names": names}
    if named_indexables:
        message = (
            f"{counted(len(indexables), 'modality')} by position and {list(named_indexables)} by name; give all one "
            "way."
        )
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


def _check_names(names: Sequence[object], count: int) -> None:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        message = f"names={names!r}; give a list of strings."
        raise ArgumentTypeError(message)
    if len(names) != count or len(set(names)) != count:
        message = f"names={names!r} for {counted(count, 'modality')}; give a different name for each."
        raise ArgumentValueError(message)


def row_index(key: slice | ArrayLike, n_rows: int) -> RowIndex:
    """Return rows as numpy would read them: from the end if negative, and chosen by a boolean mask."""
    if isinstance(key, slice):
        start, stop, step = key.indices(n_rows)
        return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step)
    try:
        rows = np.asarray(key)
    except ValueError as error:
        message = f"Rows of type {type(key).__name__} ({error}); give integers, or a mask of length {n_rows}."
        raise ArgumentIndexError(message) from error
    if rows.dtype == np.bool_ and rows.shape == (n_rows,):
        return np.flatnonzero(rows)
    if rows.size == 0:
        return np.empty(0, np.int64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        given = f"Rows of shape {rows.shape} and dtype {rows.dtype}" if rows.ndim else f"The row {reprlib.repr(key)}"
        message = f"{given}; give a list of integers, or a mask of length {n_rows}."
        raise ArgumentIndexError(message)
    if rows.min() < -n_rows or rows.max() >= n_rows:
        message = f"Rows from {rows.min()} to {rows.max()} of a collection with {counted(n_rows, 'row')}."
        raise ArgumentIndexError(message)
    wide = rows.astype(np.int64, copy=False)
    return np.where(wide < 0, wide + n_rows, wide)

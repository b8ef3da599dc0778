"""Strategies: rules that say which rows come, and in which order."""

import hashlib
import inspect
import re
import secrets
import weakref
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import optional_whole
from scdataset._types import Array
from scdataset.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError, UnimplementedError
from scdataset.strategy.keys import MAX_SEED, make_key
from scdataset.strategy.names import NamedRows
from scdataset.strategy.selection import Rows, Selection

__all__ = ["EpochOrder", "SamplingStrategy", "block_rows_of", "changes_of", "count_rows", "gives_length"]


class EpochOrder(Protocol):
    """One epoch as a pure function from positions to rows."""

    @property
    def shuffles(self) -> bool:
        """Whether rows are permuted inside a fetch window."""
        ...

    def __len__(self) -> int:
        """Return the number of samples in the epoch."""
        ...

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop), shape ``(stop - start,)``, in O(stop - start) time."""
        ...


def count_rows(data_collection: Any) -> int:
    """Return the number of rows of a collection, also of a sparse matrix, which has a shape and refuses ``len``."""
    try:
        return len(data_collection)
    except TypeError:
        if not getattr(data_collection, "shape", None):
            raise
        return int(data_collection.shape[0])


class SamplingStrategy:
    """Base class of all strategies, to subclass for your own.

    Write ``get_indices``, which returns the whole epoch as an array; or ``order``, which returns an `EpochOrder` and
    needs no memory for the rows. A subclass that writes one gets the other.

    Parameters
    ----------
    indices
        The rows that take part: None for all, a ``range``, integers, a boolean mask over the collection, or names of
        cells. A boolean Series of pandas is aligned by its index to the names of the cells, and goes by position if
        that is 0, 1, 2, ...

    Notes
    -----
    Subclasses may use:

    ``_shuffle_before_yield``
        Whether rows are shuffled inside each fetch window, or come in the order of ``get_indices``; an attribute of the
        class or of the instance. A subclass of a strategy inherits that strategy's.
    ``_indices``
        The rows that take part, ascending, or None for all; an assigned value stays as it is.
    ``_get_rng(seed, rng)``
        The generator to draw from.

    Attributes that are assigned are checked, and take effect in the next epoch; one that is running goes on as it was.
    DataLoader workers that are already running have a copy of the strategy and do not see it.

    Examples
    --------
    >>> class EveryOther(SamplingStrategy):
    ...     def get_indices(self, data_collection, seed=None, rng=None):
    ...         return np.arange(0, len(data_collection), 2)
    >>> order = EveryOther().order(10, seed=0, epoch=0)
    >>> order.rows(0, len(order)).tolist()
    [0, 2, 4, 6, 8]
    """

    _shuffle_before_yield: bool | None = None
    _has_values = False
    _raw_indices: Any = None
    _row_selection: Selection | None = None
    _named_selection: Selection | None = None
    _met: "weakref.ref[object] | None" = None
    _is_located = False
    _changes: int = 0

    def __init__(self, indices: ArrayLike | range | None = None) -> None:
        self._select(indices)

    @property
    def indices(self) -> Any:
        """The rows that take part, ascending, shape ``(n_selected,)``; None for all rows.

        Names, as they were given, until they are looked up in a collection.
        """
        return self._selection.given if self._raw_indices is None else self._raw_indices

    @indices.setter
    def indices(self, indices: Any) -> None:
        if self._writes_indices():
            self._indices = indices
        else:
            self._select(indices)

    @property
    def _indices(self) -> object:
        return self.indices

    @_indices.setter
    def _indices(self, indices: Any) -> None:
        # A subclass may keep here whatever its own get_indices takes, so that it is only checked when it is used.
        self._raw_indices, self._row_selection, self._named_selection = indices, None, None
        self._forget()

    def _select(self, indices: ArrayLike | range | None) -> None:
        self._row_selection = Selection(indices, has_values=self._has_values)
        self._raw_indices = self._named_selection = None
        self._forget()

    @property
    def _selection(self) -> Selection:
        if self._row_selection is None:
            self._row_selection = Selection(self._raw_indices, has_values=self._has_values)
        return self._row_selection

    @property
    def _block_rows(self) -> int:
        return 1

    @property
    def batch_unit(self) -> int:
        """Neighbouring samples that have to be in one batch: `scDataset` takes multiples of it as ``batch_size``."""
        return 1

    def get_len(self, data_collection: Any) -> int:
        """Return the number of samples in an epoch over ``data_collection``."""
        return len(self.epoch_order(data_collection, seed=0, epoch=0))

    def get_indices(
        self, data_collection: Any, seed: int | None = None, rng: np.random.Generator | None = None
    ) -> NDArray[np.int64]:
        """Return the rows of one epoch in sampling order, before any shuffling inside fetch windows.

        Parameters
        ----------
        data_collection
            The collection; its length counts, its content is not read.
        seed
            Seed of the order, in [0, 2**64). None draws one from the operating system.
        rng
            Where to draw the seed from, in place of ``seed``.

        Returns
        -------
        Row numbers, shape ``(get_len(data_collection),)``.
        """
        if type(self).order is SamplingStrategy.order:
            message = (
                f"{type(self).__name__} has neither get_indices nor order; write get_indices(self, data_collection, "
                "seed=None, rng=None) that returns the row numbers of one epoch in sampling order."
            )
            raise UnimplementedError(message)
        seed = optional_whole("seed", seed, minimum=0, maximum=MAX_SEED)
        if rng is not None:
            seed = int(rng.integers(2**63))
        order = self._order_over(data_collection, secrets.randbits(63) if seed is None else seed, 0)
        return order.rows(0, len(order))

    def order(self, n_rows: int, seed: int, epoch: int) -> EpochOrder:
        """Return the order of one epoch over a collection of ``n_rows`` rows."""
        return self._order_of_indices(range(n_rows), seed, epoch)

    def epoch_order(self, data_collection: object, seed: int, epoch: int) -> EpochOrder:
        """Return the order of one epoch over ``data_collection``, by whichever method the subclass wrote."""
        if self._writes_indices():
            self._meet(data_collection)
            return self._order_of_indices(data_collection, seed, epoch)
        return self._order_over(data_collection, seed, epoch)

    def _order_over(self, data_collection: object, seed: int, epoch: int) -> EpochOrder:
        """Return the order of one epoch, by ``order``, once names are looked up in the collection."""
        self._meet(data_collection)
        return self.order(count_rows(data_collection), seed, epoch)

    def _meet(self, data_collection: object) -> None:
        """Look names up in a collection, if some parameter goes by names and they were not looked up there before."""
        if not self._goes_by_names() or (self._met is not None and self._met() is data_collection):
            return
        self._look_up(NamedRows(data_collection, count_rows(data_collection)))
        self._is_located = True
        with suppress(TypeError):  # not everything can be referred to weakly
            self._met = weakref.ref(data_collection)

    def _goes_by_names(self) -> bool:
        """Tell whether some parameter is given by names of cells."""
        return self._raw_indices is None and (self._named_selection or self._selection).names is not None

    def _look_up(self, rows: NamedRows) -> None:
        """Find the rows of a collection that parameters tell by name."""
        named = self._named_selection or self._selection
        if named.names is not None:
            self._row_selection, self._named_selection = named.found_in(rows), named

    def _check_located(self) -> None:
        if self._goes_by_names() and not self._is_located:
            message = (
                f"{self!r} goes by names of cells, and the collection is not known here; call "
                "epoch_order(data_collection, seed, epoch) in place of order."
            )
            raise ArgumentValueError(message)

    def _forget(self) -> None:
        """Forget all results of earlier parameters: called when one is assigned."""
        self._changes += 1
        self._met, self._is_located = None, False

    def fingerprint(self) -> str:
        """Return an identity of this strategy: type, parameters, and a digest of its arrays.

        It has those of a subclass's own parameters that its ``__repr__`` shows.
        """
        name = type(self).__qualname__
        shown = "" if type(self).__repr__ is object.__repr__ else re.sub(r" at 0x[0-9a-f]+", "", repr(self))
        digest = hashlib.blake2b(digest_size=8)
        for array in self._arrays():
            digest.update(_described(array))
        return f"{name}:{shown}:{digest.hexdigest()}"

    def _arrays(self) -> Iterator[Array | Rows]:
        """Yield the arrays among the parameters, and the rows that take part as if they were listed."""
        if self._raw_indices is not None:
            yield np.asarray(self._raw_indices)
        elif self._selection.rows is not None:
            rows = self._selection.rows
            yield np.array([rows.count, rows.start, rows.step])
            yield rows

    def _get_rng(self, seed: int | None = None, rng: np.random.Generator | None = None) -> np.random.Generator:
        """Return ``rng``, or a generator of ``seed`` if there is none."""
        return np.random.default_rng(seed) if rng is None else rng

    def _validate_and_sort_indices(self, indices: ArrayLike | None) -> Array | None:
        """Return indices checked and in ascending order."""
        return Selection(indices).given

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_met"}

    def _writes_indices(self) -> bool:
        """Tell whether ``get_indices`` was written nearer to this class than ``order``."""
        for cls in type(self).__mro__:
            if "order" in vars(cls):
                return cls is SamplingStrategy
            if "get_indices" in vars(cls):
                return True
        return True

    def _order_of_indices(self, data_collection: Any, seed: int, epoch: int) -> "ListedOrder":
        epoch_seed = int(make_key(seed, epoch, "strategy"))
        known = inspect.signature(self.get_indices).parameters
        takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
        options: dict[str, Any] = {"seed": epoch_seed, "rng": np.random.default_rng(epoch_seed)}
        rows = self.get_indices(data_collection, **{k: v for k, v in options.items() if takes_any or k in known})
        return ListedOrder(np.asarray(rows), count_rows(data_collection), shuffles=bool(self._shuffle_before_yield))


def _described(array: Array | Rows) -> bytes:
    """Return type, shape and checksum of an array, or of the list of the rows that take part."""
    if isinstance(array, Rows):
        checksum = 0
        for piece in array.pieces():
            checksum = zlib.crc32(np.ascontiguousarray(piece).view(np.uint8).data, checksum)
        return f"int64{(0 if array.is_range else array.count,)}{checksum}".encode()
    values = np.ascontiguousarray(array)
    content = repr(values.tolist()).encode() if values.dtype.hasobject else values.view(np.uint8).data
    return f"{values.dtype}{values.shape}{zlib.crc32(content)}".encode()


# Functions, since subclasses may have attributes of any name.


def changes_of(strategy: SamplingStrategy) -> int:
    """Return how often parameters of a strategy were assigned."""
    return strategy._changes  # noqa: SLF001


def block_rows_of(strategy: SamplingStrategy) -> int:
    """Return how many neighbouring rows come together."""
    return strategy._block_rows  # noqa: SLF001


def gives_length(strategy: SamplingStrategy) -> bool:
    """Tell whether a strategy gives the length of an epoch without writing one out."""
    return type(strategy).get_len is not SamplingStrategy.get_len


class ListedOrder:
    """An epoch whose rows were written out, for strategies that only have ``get_indices``."""

    def __init__(self, listed: Array, n_rows: int, *, shuffles: bool) -> None:
        if listed.ndim != 1 or (listed.size and listed.dtype.kind not in "iu"):
            message = (
                f"get_indices returned an array of shape {listed.shape} and dtype {listed.dtype}; "
                "return one-dimensional integer row numbers."
            )
            raise ArgumentTypeError(message)
        if listed.size and (listed.min() < 0 or listed.max() >= n_rows):
            message = (
                f"get_indices returned rows from {listed.min()} to {listed.max()} and the collection has {n_rows}; "
                f"rows are numbered from 0 to {n_rows - 1}."
            )
            raise ArgumentIndexError(message)
        self._listed = listed.astype(np.int64, copy=False)
        self.shuffles = shuffles

    def __len__(self) -> int:
        return self._listed.size

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        return self._listed[start:stop].copy()

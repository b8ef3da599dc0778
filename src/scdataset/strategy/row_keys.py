"""Keys of rows: random numbers for hooks, the same for a cell wherever it is read.

A stream of random numbers would depend on the cells before it in the batch, the process or the epoch. A key is hashed
from (seed, epoch, purpose) and the number of the row, so that batch sizes, workers, threads, ranks and a resume change
nothing about a cell.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import array, whole
from scdataset._compiled import compiled
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.keys import MAX_SEED, make_key, mix, unit_float

__all__ = ["RowKeys", "call_transform", "keyed", "needs_keys"]

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, eq=False)
class RowKeys:
    """Random numbers for some rows, a function of seed, epoch and row, and of nothing else.

    Parameters
    ----------
    rows
        Number of each row in the collection, shape ``(n_rows,)``. A row that is there twice has the same key twice.
    seed, epoch
        Integers in [0, 2**64).

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        For rows that are no such numbers, and for another seed or epoch.

    Examples
    --------
    >>> keys = RowKeys([4, 7], seed=0, epoch=0)
    >>> bool((keys.uint64("noise") == RowKeys([7, 4], seed=0, epoch=0).uint64("noise")[::-1]).all())
    True
    >>> keys.floats("noise", 3).shape
    (2, 3)
    """

    rows: NDArray[np.int64]
    seed: int
    epoch: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", _checked_rows(self.rows))
        object.__setattr__(self, "seed", whole("seed", self.seed, minimum=0, maximum=MAX_SEED))
        object.__setattr__(self, "epoch", whole("epoch", self.epoch, minimum=0, maximum=MAX_SEED))

    def __len__(self) -> int:
        return self.rows.size

    def __repr__(self) -> str:
        return f"RowKeys(<{len(self)} rows>, seed={self.seed}, epoch={self.epoch})"

    def uint64(self, purpose: str) -> NDArray[np.uint64]:
        """Return 64 random bits a row, shape ``(n_rows,)``; other purposes get others."""
        if not isinstance(purpose, str):
            message = f"purpose={purpose!r} is of type {type(purpose).__name__}; give a string."
            raise ArgumentTypeError(message)
        number = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
        return _mixed(make_key(self.seed, self.epoch, "rows", number), self.rows)

    def floats(self, purpose: str, n: int = 1) -> NDArray[np.float64]:
        """Return ``n`` numbers a row, uniform in [0, 1), shape ``(n_rows, n)``."""
        return _unit_floats(self.uint64(purpose), whole("n", n, minimum=0, maximum=2**31 - 1))


def keyed(function: F) -> F:
    """Mark a function of ``(value, keys)`` as a transform that needs keys; classes set ``needs_keys = True``.

    Examples
    --------
    >>> @keyed
    ... def jittered(batch, keys):
    ...     return batch + keys.floats("jitter")
    >>> jittered(np.zeros((2, 5)), RowKeys([0, 1], seed=0, epoch=0)).shape
    (2, 5)
    """
    if callable(function):
        with suppress(AttributeError, TypeError):  # of callables that are frozen or built in
            function.needs_keys = True  # type: ignore[attr-defined]
            return function
    message = (
        f"keyed got {function!r} of type {type(function).__name__}, which cannot be marked; give a function of "
        "(value, keys) of your own."
    )
    raise ArgumentTypeError(message)


def needs_keys(transform: object) -> bool:
    """Tell whether a transform is called as ``transform(value, keys)``."""
    return bool(getattr(transform, "needs_keys", False))


def call_transform(transform: Callable[..., object], value: object, keys: RowKeys | None) -> Any:
    """Call a transform, with keys if it needs them."""
    return transform(value, keys) if needs_keys(transform) else transform(value)


def _checked_rows(rows: object) -> NDArray[np.int64]:
    numbers = array("rows", rows, "the whole number of each row", "iu")
    if numbers.ndim != 1:
        message = f"rows has shape {numbers.shape}; give the whole number of each row."
        raise ArgumentTypeError(message)
    if numbers.size and numbers.min() < 0:
        message = f"rows has {numbers.min()}; give row numbers in the collection, counted from 0."
        raise ArgumentValueError(message)
    return numbers.astype(np.int64, copy=False)


@compiled
def _mixed(key: np.uint64, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    keys = np.empty(rows.size, np.uint64)
    for place in range(rows.size):
        keys[place] = mix(key, np.uint64(rows[place]))
    return keys


@compiled
def _unit_floats(keys: NDArray[np.uint64], n: int) -> NDArray[np.float64]:
    floats = np.empty((keys.size, n))
    for place in range(keys.size):
        for counter in range(n):
            floats[place, counter] = unit_float(mix(keys[place], np.uint64(counter)))
    return floats

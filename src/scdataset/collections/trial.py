"""Tell whether an object indexed with several rows at once gives the same as row by row."""

from collections.abc import Mapping
from itertools import starmap
from typing import cast

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray

from scdataset._types import Array, RowData
from scdataset.collections.rows import Indexed, RowList, as_rows, take_rows

__all__ = ["gives_rows", "gives_samples", "trial_rows"]


def trial_rows(rows: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """Return up to three of the rows, ascending: two at least where there are two.

    One row proves nothing: a single sample of length 1 looks like it.
    """
    first, last = int(rows.min()), int(rows.max())
    neighbour = first + 1 if first + 1 < n_rows else max(first - 1, 0)
    middle = int(np.median(rows)) if last > first + 1 else neighbour
    return np.unique(np.array([first, middle, last], np.int64))


def gives_rows(fetched: RowData, source: Indexed, rows: NDArray[np.int64]) -> bool:
    """Tell whether ``fetched``, which ``source`` gave for an array of rows, holds those rows.

    Parameters
    ----------
    fetched
        The result of ``source[rows]``.
    source
        An object that may also be indexed with a single row.
    rows
        Distinct rows, shape ``(n,)``.
    """
    window = as_rows(fetched, rows.size)
    if window is None or (isinstance(window, RowList) and not isinstance(fetched, RowList)):  # a list of samples
        return False
    return _agree([take_rows(window, slice(place, place + 1)) for place in range(rows.size)], source, rows)


def gives_samples(fetched: RowData, source: Indexed, rows: NDArray[np.int64]) -> bool:
    """Tell whether ``fetched`` is a list of the samples of these rows; see `gives_rows`."""
    if not isinstance(fetched, (list, tuple)) or len(fetched) != rows.size:
        return False
    return _agree(list(fetched), source, rows)


def _agree(found: list[object], source: Indexed, rows: NDArray[np.int64]) -> bool:
    """Compare with single samples; of random ones, number and sizes alone. Without any, the length has to do."""
    try:
        samples = [source[row] for row in rows.tolist()]
    except Exception:  # noqa: BLE001 it takes arrays only
        return True
    if all(starmap(_are_equal, zip(found, samples, strict=True))):
        return True
    is_random = not _are_equal(source[int(rows[0])], samples[0])
    return is_random and all(_sizes(one) == _sizes(sample) for one, sample in zip(found, samples, strict=True))


def _sizes(sample: object) -> list[int]:
    return [leaf.size for leaf in _leaves(sample)]


def _are_equal(one: object, other: object) -> bool:
    leaves, others = _leaves(one), _leaves(other)
    if len(leaves) != len(others):  # numbers in a list, and the same in an array
        leaves, others = [np.concatenate(leaves)], [np.concatenate(others)]
    return all(starmap(_same_values, zip(leaves, others, strict=True)))


def _same_values(one: Array, other: Array) -> bool:
    if one.size != other.size:
        return False
    if one.dtype.kind in "biufc" and other.dtype.kind in "biufc":  # vector instructions may differ in the last bit
        return bool(np.allclose(one, other, rtol=1e-5, atol=0, equal_nan=True))
    pairs = zip(one.tolist(), other.tolist(), strict=True)
    return all(a == b or (a != a and b != b) for a, b in pairs)  # noqa: PLR0124 NaN


def _leaves(sample: object) -> list[Array]:
    """Return the arrays in a sample, each of one axis; names of columns are leaves too."""
    if isinstance(sample, Mapping):
        return [leaf for name, value in sample.items() for leaf in (np.array([str(name)]), *_leaves(value))]
    if isinstance(sample, (list, tuple)):
        return [leaf for value in sample for leaf in _leaves(value)]
    if hasattr(sample, "obs_names") and hasattr(sample, "X"):  # AnnData, or a view of an AnnCollection
        return [*_leaves(sample.X), np.asarray(sample.obs_names, object)]
    return [_flat(sample)]


def _flat(sample: object) -> Array:
    """Return the values of a leaf, shape ``(n,)``; none of an object of unknown type, which is not compared."""
    if isinstance(sample, torch.Tensor):
        plain = sample.detach().to("cpu")
        return np.asarray((plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()).ravel()
    if scipy.sparse.issparse(sample):
        return np.asarray(cast("scipy.sparse.csr_matrix", sample).toarray()).ravel()
    known = isinstance(sample, (str, bytes, int, float, complex)) or hasattr(sample, "__array__")
    return np.asarray(sample).ravel() if known else np.empty(0)

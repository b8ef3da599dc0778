"""Rows that were read in pieces, joined."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse
import torch

from scdataset._types import RowData
from scdataset.collections.rows import RowList, alike, as_rows
from scdataset.errors import CollectionError

__all__ = ["join_rows"]


def join_rows(pieces: Sequence[object], counts: Sequence[int]) -> RowData:
    """Return pieces of ``counts`` rows each as one, of the type that they have.

    Raises
    ------
    CollectionError
        If a piece has another number of rows, or they are of types that are not joined here.
    """
    if len(pieces) == 1:
        return pieces[0]
    windows = [as_rows(piece, count) for piece, count in zip(pieces, counts, strict=True)]
    try:
        return _joined(windows)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        kinds = sorted({type(piece).__qualname__ for piece in pieces})
        message = (
            f"Datasets of a ConcatDataset gave {' and '.join(kinds)}, which cannot be joined: {error}. Give a "
            "fetch_callback(dataset, rows) that reads and combines the rows."
        )
        raise CollectionError(message) from error


def _joined(pieces: Sequence[Any]) -> object:
    first: Any = pieces[0]
    if isinstance(first, Mapping):
        return {name: _joined([piece[name] for piece in pieces]) for name in first}
    if isinstance(first, RowList):
        return RowList(chain.from_iterable(pieces))
    if isinstance(first, (list, tuple)):
        return alike(first, map(_joined, zip(*pieces, strict=True)))
    return _joined_arrays(pieces, first)


def _joined_arrays(pieces: Sequence[Any], first: RowData) -> object:
    tensors = [piece for piece in pieces if isinstance(piece, torch.Tensor)]
    if tensors:
        return torch.cat([torch.as_tensor(piece, device=tensors[0].device) for piece in pieces])
    if scipy.sparse.issparse(first):
        return scipy.sparse.vstack(pieces, format=getattr(first, "format", None))
    if hasattr(first, "iloc"):
        import pandas as pd  # noqa: PLC0415 it is there if a piece is of it

        return pd.concat(pieces)
    if all(isinstance(piece, np.ndarray) for piece in pieces):
        return np.concatenate(pieces)
    message = f"rows of type {type(first).__qualname__} are not known here"
    raise TypeError(message)

"""Tokens of cells of different lengths, in arrays that are padded at the end."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import array, one_of, optional_whole
from scdataset._tables import counted
from scdataset._types import Array, RowData
from scdataset.collections import MultiIndexable
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.matrices import Csr
from scdataset.transforms.values import check_values

__all__ = ["Padding", "checked_padding", "checked_values", "ids_of_genes", "in_place_of_x", "trimmed"]

Padding = Literal["max_length", "longest"]
"""Length of padded arrays: ``"max_length"`` for all alike, or that of the longest cell in the window or batch."""


def checked_padding(padding: str) -> str:
    """Return ``padding`` if it is a `Padding`."""
    return one_of("padding", padding, allowed=("max_length", "longest"))


def ids_of_genes(name: str, ids: ArrayLike, special: Mapping[str, int | None]) -> NDArray[np.int64]:
    """Return the number of each gene in a vocabulary, -1 for those that are not in it.

    Parameters
    ----------
    name
        Name of the argument, for errors.
    special
        Numbers of special tokens, which no gene has; None for those that are not used.
    """
    numbers = array(name, ids, "one whole number a gene of X", "iu")
    if numbers.ndim != 1:
        message = f"{name} has shape {numbers.shape} and dtype {numbers.dtype}; give one whole number a gene of X."
        raise ArgumentTypeError(message)
    if not (numbers >= 0).any():
        message = f"{name} has no gene of the vocabulary among {numbers.size}; -1 is a gene that is not in it."
        raise ArgumentValueError(message)
    for token, own in special.items():
        optional_whole(token, own, minimum=0)
    used = [number for number in special.values() if number is not None]
    shared = [f"{token}={number}" for token, number in special.items() if number in numbers]
    if shared or len(set(used)) < len(used):
        message = (
            f"{name} and the special tokens {dict(special)} are not all different numbers"
            f"{': genes have ' + ', '.join(shared) if shared else ''}; give each a number of its own."
        )
        raise ArgumentValueError(message)
    return numbers.astype(np.int64)


def checked_values(asked_by: str, rows: Csr, ids: NDArray[np.int64]) -> None:
    """Raise unless the matrix has as many genes as there are ``ids``, and values that are finite and not negative."""
    if rows.shape[1] != ids.size:
        message = (
            f"{asked_by} has the numbers of {counted(ids.size, 'gene')}, and X has {rows.shape[1]:,}; give those of X."
        )
        raise ArgumentValueError(message)
    check_values(asked_by, rows, "values that are finite and not negative", least=0)


def trimmed(tokens: Array, lengths: NDArray[np.int64], padding: str) -> Array:
    """Return padded tokens, as long as the longest of them if that is asked for."""
    if padding == "max_length" or not lengths.size:
        return tokens
    return np.ascontiguousarray(tokens[:, : lengths.max()])


def in_place_of_x(value: object, members: Mapping[str, RowData]) -> RowData:
    """Return ``members`` in place of X, with all else of ``value``: a `MultiIndexable` or dict, as that is."""
    if isinstance(value, MultiIndexable):
        kept = {name: member for name, member in value.items() if name != "X"}
        return MultiIndexable(kept | dict(members), unstructured=value.unstructured)
    if isinstance(value, Mapping):
        kept = {name: member for name, member in value.items() if name != "X"}
        return kept | dict(members)
    return MultiIndexable(dict(members))

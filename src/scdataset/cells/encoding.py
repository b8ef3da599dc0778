"""Labels as categories, encoded piece by piece: a Python object for each row of a large column takes 100 bytes."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd

from scdataset._types import Array

__all__ = ["encoded", "pieces_in_memory"]

_PIECE = 1 << 20
"""Rows that are encoded at a time."""


def encoded(
    pieces: Iterable[Array], decoded: Callable[[list[object]], Iterable[object]] = lambda labels: labels
) -> pd.Categorical:
    """Return the categorical that pandas makes of all pieces together.

    Parameters
    ----------
    pieces
        Labels, some missing perhaps, each of shape ``(n,)``.
    decoded
        Makes labels of entries; each is decoded once, and different ones have to stay different.
    """
    place: dict[object, int] = {}
    parts = [_places(piece, place) for piece in pieces]
    labels = np.empty(len(place), object)
    labels[:] = list(decoded(list(place)))
    ordered = pd.Categorical(labels)  # sorts them, and knows how wide the codes have to be
    into = np.append(ordered.codes, ordered.codes.dtype.type(-1))
    codes = [np.empty(0, into.dtype)]
    while parts:  # either codes of a piece or the others are in memory
        codes.append(into[parts.pop(0)])
    return pd.Categorical.from_codes(np.concatenate(codes), ordered.categories)


def pieces_in_memory(values: Array) -> Iterator[Array]:
    """Cut an array into pieces."""
    return (values[start : start + _PIECE] for start in range(0, values.size, _PIECE))


def _places(piece: Array, place: dict[object, int]) -> Array:
    """Return the place of each label among all labels, in the order in which they come; -1 where it is missing."""
    codes, found = pd.factorize(piece)
    places = [place.setdefault(label, len(place)) for label in found.tolist()]
    return np.array([*places, -1], np.min_scalar_type(-max(len(place), 1)))[codes]

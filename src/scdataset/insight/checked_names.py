"""Check names of cells and genes, and the encodings that an AnnData's elements say they have."""

from collections.abc import Iterable

import numpy as np
from pandas.util import hash_array

from scdataset._tables import counted
from scdataset._types import Array
from scdataset.insight.findings import Findings

__all__ = ["ENCODINGS", "note_repeated"]

ENCODINGS = frozenset(
    {
        "MuData", "anndata", "array", "awkward-array", "categorical", "csc_matrix", "csr_matrix", "dataframe", "dict",
        "null", "nullable-boolean", "nullable-integer", "nullable-string-array", "numeric-scalar", "raw", "rec-array",
        "string", "string-array",
    }
)  # fmt: skip
"""Values of ``encoding-type`` that AnnData and MuData define."""


def note_repeated(pieces: Iterable[Array], place: str, found: Findings) -> None:
    """Note repeated names, which are allowed but identify no row; 8 bytes for each name in memory.

    Parameters
    ----------
    pieces
        The names, in arrays one after the other.
    """
    hashes = [hash_array(np.asarray(piece, object), categorize=False) for piece in pieces]
    whole = np.concatenate([np.empty(0, np.uint64), *hashes])
    _, inverse, times = np.unique(whole, return_inverse=True, return_counts=True)
    again = times[inverse] > 1
    if again.any():
        first = int(np.argmax(again))
        second = first + 1 + int(np.argmax(inverse[first + 1 :] == inverse[first]))
        names = counted(int(np.count_nonzero(times > 1)), "name")
        found.note(place, f"has {names} more than once, the first of them in rows {first} and {second}.")

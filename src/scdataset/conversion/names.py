"""Names of cells, kept in a file: as Python's strings they take more memory than all else that grows with the rows."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdataset.conversion.order import RowOrder

__all__ = ["NamesFile", "numbers_as_names"]

_PIECE = 1 << 17
"""Names that are in memory at a time, beside those of the file that is read."""


class NamesFile:
    """Names one after the other in a file of UTF-8, and where each begins in another.

    Parameters
    ----------
    folder
        Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._text = folder / "names.txt"
        self._starts = folder / "names.starts"

    @classmethod
    def written(cls, folder: Path, names: Iterable[pd.Index]) -> Self:
        """Write names, given in parts."""
        file = cls(folder)
        end = 0
        with file._text.open("wb") as text, file._starts.open("wb") as starts:
            np.zeros(1, np.int64).tofile(starts)
            for index in names:
                for first in range(0, len(index), _PIECE):
                    encoded = [str(name).encode() for name in index[first : first + _PIECE]]
                    ends = end + np.cumsum([len(name) for name in encoded], dtype=np.int64)
                    text.write(b"".join(encoded))
                    ends.tofile(starts)
                    end = int(ends[-1])
        return file

    def pieces(self, order: RowOrder) -> Iterator[NDArray[np.object_]]:
        """Yield the names of the rows in another order, some at a time."""
        starts = np.memmap(self._starts, np.int64, "r")
        text = np.memmap(self._text, np.uint8, "r") if self._text.stat().st_size else np.empty(0, np.uint8)
        for first in range(0, order.n_rows, _PIECE):
            rows = order.rows(first, min(first + _PIECE, order.n_rows))
            names = np.empty(rows.size, object)
            bounds = zip(starts[rows].tolist(), starts[rows + 1].tolist(), strict=True)
            names[:] = [text[start:stop].tobytes().decode() for start, stop in bounds]
            yield names

    def remove(self) -> None:
        """Remove the files."""
        self._text.unlink()
        self._starts.unlink()


def numbers_as_names(n_rows: int) -> Iterator[pd.Index]:
    """Yield the numbers of rows as names, some at a time."""
    for first in range(0, n_rows, _PIECE):
        yield pd.RangeIndex(first, min(first + _PIECE, n_rows)).astype(str)

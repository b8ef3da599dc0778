"""Matrix Market text: a header, then a line for each entry, with its row and column, from 1 on, and its value.

https://math.nist.gov/MatrixMarket/formats.html
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import Array, DType
from scdataset.engine.bytes.opening import open_bytes
from scdataset.engine.bytes.source import ByteSource
from scdataset.engine.containers.entry_lines import NoEntryError, parse_lines
from scdataset.engine.containers.packed_text import UNREADABLE, packed_text
from scdataset.errors import CollectionError, DamagedFileError, ScDatasetError

__all__ = ["Entries", "MatrixMarket", "is_matrix_market"]

_BLOCK = 1 << 22
"""Bytes of text that are parsed at a time: enough for several threads."""

_MAX_COMMENTS = 1 << 20
"""Bytes of comments before the sizes."""

_MAX_BLANK = 1 << 21
"""Bytes of blank lines and comments among the entries."""

_MAX_ENTRY = 256
"""Bytes that an entry may take, on average, with blanks around it: numbers take up to 50."""

_FIELDS = {"integer": "i8", "unsigned-integer": "i8", "real": "f8", "double": "f8", "pattern": "i8"}
"""Types of values, and the dtype they are parsed to; in a pattern all are one, and left out."""


class Entries(NamedTuple):
    """Some entries of a matrix, in the order of the text: rows and columns from 0 on, each shape ``(n,)``."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Array


@dataclass(frozen=True, slots=True)
class MatrixMarket:
    """A Matrix Market file, gzipped or not.

    Attributes
    ----------
    path
        The file.
    field
        The type of the values, a key of ``_FIELDS``.
    shape
        Rows and columns.
    n_entries
        Number of entries.
    """

    path: str
    field: str
    shape: tuple[int, int]
    n_entries: int

    @classmethod
    def from_path(cls, path: str) -> "MatrixMarket":
        """Read the header.

        Raises
        ------
        CollectionError
            If the matrix is of a kind that is no table of numbers, such as a symmetric or a complex one.
        DamagedFileError
            If there is no header.
        """
        with packed_text(open_bytes(path)) as (_, text), _reading(path, "its header"):
            words, sizes = _header(text)
        if words[1:3] != ["matrix", "coordinate"] or words[3:4] == [] or words[4:] != ["general"]:
            message = f"{path} is {' '.join(words)!r}; it has to be 'matrix coordinate', of numbers, and 'general'."
            raise CollectionError(message)
        if words[3] not in _FIELDS:
            message = f"{path} has {words[3]} values; they have to be one of {list(_FIELDS)}."
            raise CollectionError(message)
        return cls(path, words[3], (sizes[0], sizes[1]), sizes[2])

    @property
    def dtype(self) -> DType:
        """Type of the values, int64 or float64."""
        return np.dtype(_FIELDS[self.field])

    def entries(self, advance: Callable[[int], object]) -> Iterator[Entries]:
        """Yield all entries, some at a time; ``advance`` is told the bytes of the file as they are read.

        Raises
        ------
        DamagedFileError
            If a line is no entry or is outside the matrix, or there are more or fewer than the header says.
        """
        n_seen = n_bytes = 0
        with packed_text(open_bytes(self.path)) as (stored, text):
            with _reading(self.path, "its header"):
                _header(text)
            for lines in self._lines(text):
                found = self._parsed(lines, n_seen)
                n_seen += found.rows.size
                if n_seen > self.n_entries:
                    break
                yield found
                advance(stored.tell() - n_bytes)
                n_bytes = stored.tell()
        if n_seen != self.n_entries:
            count = "more entries than" if n_seen > self.n_entries else f"{counted(n_seen, 'entry')} and not"
            message = f"{self.path} has {count} the {self.n_entries} that its header says; it is damaged."
            raise DamagedFileError(message)

    def _lines(self, text: IO[bytes]) -> Iterator[bytes]:
        """Yield the text in blocks that end where a line does."""
        rest, left = b"", _MAX_ENTRY * self.n_entries + _MAX_BLANK
        while True:
            with _reading(self.path, "its entries"):
                read = text.read(_BLOCK)
            left -= len(read)
            if left < 0:
                message = (
                    f"{self.path} has more text than its {counted(self.n_entries, 'entry')} can take; it is damaged."
                )
                raise DamagedFileError(message)
            block = rest + (read or b"\n")
            end = block.rfind(b"\n") + 1
            rest = block[end:]
            if len(rest) > _BLOCK // 2:
                message = f"{self.path} has a line of more than {counted(len(rest), 'byte')}; it is damaged."
                raise DamagedFileError(message)
            yield block[:end]
            if not read:
                return

    def _parsed(self, lines: bytes, n_before: int) -> Entries:
        try:
            rows, columns, values = parse_lines(lines, None if self.field == "pattern" else self.dtype)
        except NoEntryError as error:
            raise self._no_entry(n_before, error.line[:80]) from error
        inside = (rows < self.shape[0]) & (columns < self.shape[1])
        if not inside.all():
            outside = int(np.argmin(inside))
            raise self._no_entry(n_before, (int(rows[outside]) + 1, int(columns[outside]) + 1))
        return Entries(rows, columns, np.ones(rows.size, self.dtype) if values is None else values)

    def _no_entry(self, n_before: int, found: object) -> DamagedFileError:
        message = (
            f"{self.path}: after {counted(n_before, 'entry')} or more there is {found!r}, in a matrix of {self.shape}."
        )
        return DamagedFileError(message)


def is_matrix_market(source: ByteSource) -> bool:
    """Return whether a file begins as Matrix Market does, unpacked if it is gzipped.

    Raises
    ------
    DamagedFileError
        If it is called as such a file is, and cannot be unpacked.
    """
    try:
        with packed_text(source) as (_, text):
            return bool(text.read(14).lower() == b"%%matrixmarket")
    except UNREADABLE as error:
        if not source.path.endswith((".mtx", ".mtx.gz")):
            return False
        message = f"{source.path}: its header cannot be read: {error}"
        raise DamagedFileError(message) from error


@contextmanager
def _reading(path: str, what: str) -> Iterator[None]:
    try:
        yield
    except ScDatasetError:
        raise
    except UNREADABLE as error:
        message = f"{path}: {what} cannot be read: {error}"
        raise DamagedFileError(message) from error


def _header(text: IO[bytes]) -> tuple[list[str], list[int]]:
    """Read the words of the first line and the sizes of the matrix."""
    words = text.readline(1 << 10).decode("ascii").lower().split()
    line, n_comments = text.readline(1 << 16), 0
    while line.startswith(b"%") or line.isspace():
        n_comments += len(line)
        if n_comments > _MAX_COMMENTS:
            message = f"it has more than {counted(_MAX_COMMENTS, 'byte')} of comments before its sizes"
            raise ValueError(message)
        line = text.readline(1 << 16)
    sizes = line.split()
    if words[:1] != ["%%matrixmarket"] or len(sizes) != 3 or not all(size.isdigit() for size in sizes):
        message = f"it begins with {words} and sizes {line[:80]!r}"
        raise ValueError(message)
    return words, [int(size) for size in sizes]

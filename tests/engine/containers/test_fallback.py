"""Chunks that a library reads, and those that take more memory than there is: an error that names them."""

import numpy as np
import pytest

from scdataset.engine.arrays.chunked_arrays import ChunkedArray
from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.containers.fallback import LibraryChunks
from scdataset.engine.context import ReadContext
from scdataset.engine.matrices.transposed import TransposedMatrix
from scdataset.engine.threads import Threads
from scdataset.errors import DamagedFileError


class Huge:
    """Chunks whose size is damaged."""

    path, name, dtype, length = "m.h5ad", "X/data", np.dtype("f4"), 4
    is_remote = False

    def piece(self, number):
        raise MemoryError("Unable to allocate 8.00 PiB")  # noqa: EM101, TRY003 as numpy says it

    def check(self):
        pass

    def encoded_chunks(self, numbers):
        pass


class Elsewhere:
    """An array that is of another type by now."""

    def __getitem__(self, rows):
        return np.array(["no number"], object)


def read(chunks):
    spans = Spans(np.array([5]), np.array([1]), np.array([0]))
    for work, first, last in ChunkedArray(chunks).tasks(spans, np.empty(1, "f4"), ANY, 1):
        work(first, last)


def test_a_chunk_that_takes_more_memory_than_there_is():
    with pytest.raises(DamagedFileError, match=r"m\.h5ad: chunk 1 of X/data takes more memory .* 8\.00 PiB"):
        read(Huge())
    with pytest.raises(DamagedFileError, match=r"m\.h5ad: chunk 0 of X/data takes more memory"):
        TransposedMatrix((2, 2), Huge(), (2, 2)).read(np.arange(2), ReadContext(Threads(1)))


def test_what_a_library_gives_has_to_be_numbers():
    with pytest.raises(DamagedFileError, match=r"m\.h5ad: rows from 4 of X/data cannot be read: could not convert"):
        read(LibraryChunks(Elsewhere, "m.h5ad", "X/data", 4, 1, np.dtype("f4")))

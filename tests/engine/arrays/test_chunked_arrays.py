"""Arrays in encoded chunks."""

import zlib

import numpy as np
import pytest
from tests.engine.arrays.plain_files import SPANS, read_spans

from scdataset.engine.arrays.chunk_index import NOT_STORED, ChunkIndex, ChunkTable
from scdataset.engine.arrays.chunked_arrays import ChunkedArray, array_at
from scdataset.engine.arrays.stored_arrays import PlainArray
from scdataset.engine.bytes.local import LocalFile
from scdataset.errors import DamagedFileError


def zipped(path, damage=b""):
    """Write an array in three compressed chunks, of which the second was never written."""
    chunks = [zlib.compress(np.arange(start, start + 4, dtype="<f4").tobytes()) for start in (0, 8)]
    path.write_bytes(damage + b"".join(chunks)[len(damage) :])
    offsets = np.array([0, NOT_STORED, len(chunks[0])])
    sizes = np.array([len(chunks[0]), 0, len(chunks[1])])
    table = ChunkTable(offsets, sizes, np.zeros(3, np.uint32))
    return array_at(LocalFile(str(path)), "X", ChunkIndex((12,), np.dtype("<f4"), (4,), table, (("gzip", ()),), 9.0))


def test_chunks_are_decoded_and_those_never_written_have_the_fill_value(tmp_path):
    array = zipped(tmp_path / "a")
    assert isinstance(array, ChunkedArray)
    assert read_spans(array) == [3, 9, 9, 9, 9, 8, 9, 1, 2, 3, 9, 9]
    cost = array.read_cost(SPANS)
    assert cost.decoded_bytes == 2 * 16


def test_a_damaged_chunk_is_told_with_its_number_and_the_array(tmp_path):
    array = zipped(tmp_path / "a", damage=b"\0\0\0\0")
    with pytest.raises(DamagedFileError, match=r"a: chunk 0 of X"):
        array.chunks.piece(0)


def test_bytes_as_in_memory_are_a_plain_array(tmp_path):
    (tmp_path / "a").write_bytes(np.arange(20, dtype="f4").tobytes())
    table = ChunkTable(np.array([0]), np.array([80]), np.zeros(1, np.uint32))
    array = array_at(LocalFile(str(tmp_path / "a")), "X", ChunkIndex((20,), np.dtype("f4"), (20,), table))
    assert type(array) is PlainArray
    assert read_spans(array) == [*range(3, 10), *range(1, 6)]

"""Stored arrays: spans of plain bytes and of encoded chunks."""

import operator
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.arrays.plain_files import plain_array

from scdataset.engine.arrays.chunk_index import NOT_STORED, ChunkIndex, ChunkTable
from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.arrays.stored_arrays import ChunkedArray, PlainArray, array_at, equal_parts
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.threads import Threads
from scdataset.errors import DamagedFileError

SPANS = Spans(np.array([1, 3]), np.array([5, 7]), np.array([7, 0]))


def read(array):
    out = np.zeros(12, array.dtype)
    Threads(2).run(operator.call, array.tasks(SPANS, out, ANY, 3))
    return out.tolist()


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 8))
def test_parts_follow_each_other_and_none_is_far_larger_than_others(sizes, n_parts):
    parts = equal_parts(np.array(sizes, np.int64), n_parts)
    assert [place for part in parts for place in range(*part)] == list(range(len(sizes)))
    assert len(parts) <= n_parts
    assert all(sum(sizes[slice(*part)]) <= sum(sizes) / n_parts + max(sizes) for part in parts)


@pytest.mark.parametrize("chunk", [2, 5, 20])
def test_spans_go_across_chunks_wherever_these_lie(tmp_path, chunk):
    array = plain_array(tmp_path / "a", np.arange(20, dtype="f4"), chunk)
    assert read(array) == [*range(3, 10), *range(1, 6)]
    (tmp_path / "a").write_bytes(b"short")
    with pytest.raises(DamagedFileError):
        read(array)


@pytest.mark.parametrize("is_there", [True, False])
def test_all_spans_are_announced_unless_they_are_in_memory(tmp_path, monkeypatch, is_there):
    array = plain_array(tmp_path / "a", np.arange(20, dtype="f4"), 5)
    monkeypatch.setattr(LocalFile, "is_in_memory", lambda _, offsets: is_there)
    told = []
    monkeypatch.setattr(LocalFile, "announce", lambda _, *ranges: told.append(np.transpose(ranges).tolist()) or True)
    assert array.announce(SPANS) is not is_there
    assert told == ([] if is_there else [[[64, 16], [40, 4], [72, 8], [40, 20]]])
    nothing = PlainArray(array.file, "b", array.dtype, 5, np.empty(0, np.int64))
    assert not nothing.announce(Spans(*np.zeros((3, 2), np.int64)))


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
    assert read(array) == [3, 9, 9, 9, 9, 8, 9, 1, 2, 3, 9, 9]
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
    assert read(array) == [*range(3, 10), *range(1, 6)]

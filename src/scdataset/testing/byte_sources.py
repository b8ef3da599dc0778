"""Tests that every source of bytes passes; it takes pytest.

class TestMine(ByteSourceTests):
def open(self, content): ...
def replace(self, source, content): ...
"""

import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from multiprocessing import get_all_start_methods, get_context
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.arrays.stored_arrays import PlainArray
from scdataset.engine.bytes.source import ByteSource
from scdataset.errors import DamagedFileError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext
    from multiprocessing.queues import Queue

__all__ = ["ByteSourceTests"]

CONTENT = np.random.default_rng(0).integers(0, 256, 200_000, np.uint8).tobytes()

RANGES = [(0, 0), (0, 1), (0, 200_000), (1, 7), (199_999, 1), (4_096, 4_096), (100_000, 99_999)]


class ByteSourceTests(ABC):
    """Tests of a source, inherited by a class that tells how one is made.

    Attributes
    ----------
    start_methods
        How the processes are started that read a source, of those that `multiprocessing` has.
    """

    start_methods: Sequence[str] = get_all_start_methods()

    @abstractmethod
    def open(self, content: bytes) -> ByteSource:
        """Return a source of an object that was just made of ``content``."""

    @abstractmethod
    def replace(self, source: ByteSource, content: bytes) -> None:
        """Put another version of the source's object in the place of the one that was opened."""

    @pytest.fixture
    def source(self) -> Iterator[ByteSource]:
        """Open a source of `CONTENT`."""
        with closing(self.open(CONTENT)) as source:
            yield source

    def test_it_knows_its_size_and_its_name(self, source: ByteSource) -> None:
        assert source.size == len(CONTENT)
        assert source.path
        assert source.address

    @pytest.mark.parametrize(("offset", "size"), RANGES)
    def test_a_range_is_read_as_it_is(self, source: ByteSource, offset: int, size: int) -> None:
        expected = CONTENT[offset : offset + size]
        assert bytes(source.read(offset, size)) == expected
        assert bytes(source.read_unchecked(offset, size)) == expected

    @pytest.mark.parametrize(("offset", "size"), [(199_990, 100), (200_000, 10), (300_000, 10)])
    def test_a_range_over_the_end_gives_what_there_is(self, source: ByteSource, offset: int, size: int) -> None:
        assert bytes(source.read(offset, size)) == CONTENT[offset : offset + size]

    def test_many_ranges_come_in_their_order_however_they_lie(self, source: ByteSource) -> None:
        offsets, sizes = zip(*RANGES[::-1], *RANGES, strict=True)
        expected = [CONTENT[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]
        assert list(map(bytes, source.read_many(offsets, sizes))) == expected
        assert source.read_many([], []) == []

    def test_threads_read_at_once(self, source: ByteSource) -> None:
        offsets = list(range(0, 200_000, 999))
        with ThreadPoolExecutor(8) as threads:
            read = list(threads.map(lambda offset: source.read(offset, 999), offsets))
        assert b"".join(read) == CONTENT

    def test_what_was_announced_is_read_as_it_is(self, source: ByteSource) -> None:
        offsets = np.array([150_000, 0, 4_000, 199_000])
        source.announce(offsets, np.array([10_000, 0, 90_000, 50_000]))
        source.announce(np.empty(0, np.int64), np.empty(0, np.int64))
        assert bytes(source.read(3_000, 196_000)) == CONTENT[3_000:199_000]

    def test_a_stream_seeks_and_reads(self, source: ByteSource) -> None:
        with source.stream() as stream:
            stream.seek(1_000)
            assert stream.read(50) == CONTENT[1_000:1_050]
            assert stream.tell() == 1_050

    def test_a_replaced_object_is_refused_and_never_read_as_the_old_one(self, source: ByteSource) -> None:
        source.read(0, 10)
        self.replace(source, CONTENT[::-1])
        with pytest.raises(DamagedFileError):
            source.read(0, 200_000)
        with pytest.raises(DamagedFileError):
            source.check()

    def test_an_object_that_became_shorter_is_refused(self, source: ByteSource) -> None:
        source.check()
        self.replace(source, CONTENT[:100])
        with pytest.raises(DamagedFileError):
            source.read(0, 200_000)

    def test_the_identity_is_that_of_a_version(self, source: ByteSource) -> None:
        again = pickle.loads(pickle.dumps(source))
        assert again.identity == source.identity
        assert hash(tuple(source.identity)) == hash(tuple(again.identity))
        with closing(self.open(CONTENT[:1])) as other:
            assert other.identity != source.identity

    def test_a_pickled_one_is_small_and_reads_the_same(self, source: ByteSource) -> None:
        source.read(0, 10)
        pickled = pickle.dumps(source)
        assert len(pickled) < 2_000
        with closing(pickle.loads(pickled)) as again:
            assert bytes(again.read(0, 200_000)) == CONTENT

    def test_a_pickled_one_knows_what_was_opened(self, source: ByteSource) -> None:
        pickled = pickle.dumps(source)
        self.replace(source, CONTENT[::-1])
        with closing(pickle.loads(pickled)) as again, pytest.raises(DamagedFileError):
            again.read(0, 10)

    def test_other_processes_read_the_same(self, source: ByteSource) -> None:
        source.read(0, 10)
        for method in self.start_methods:
            context = cast("SpawnContext", get_context(method))
            results = context.SimpleQueue()
            process = context.Process(target=_send, args=(source, results), daemon=True)
            process.start()
            assert results.get() == CONTENT[1_000:2_000]
            process.join()
            assert bytes(source.read(0, 200_000)) == CONTENT

    def test_it_is_read_again_after_it_was_closed(self, source: ByteSource) -> None:
        source.read(0, 10)
        source.close()
        source.close()
        assert bytes(source.read(5, 10)) == CONTENT[5:15]

    def test_a_descriptor_is_of_the_same_bytes(self, source: ByteSource) -> None:
        with source.ready(np.array([100_000]), np.array([7])) as descriptor:
            assert descriptor is None or os.pread(descriptor, 7, 100_000) == CONTENT[100_000:100_007]
        values = np.frombuffer(CONTENT, np.uint16)
        array = PlainArray(source, "values", values.dtype, 5_000, np.arange(0, 200_000, 10_000)[::-1].copy())
        stored = values.reshape(20, 5_000)[::-1].ravel()
        starts, lengths = np.array([0, 7, 4_990, 9_000, 70_000]), np.array([3, 0, 30, 20_000, 30_000])
        places = np.array([50_000, 0, 40_000, 10_000, 60_000])
        out = np.zeros(100_000, np.uint16)
        array.read(Spans(starts, lengths, places), out, ANY)
        expected = np.zeros_like(out)
        for start, length, place in zip(starts, lengths, places, strict=True):
            expected[place : place + length] = stored[start : start + length]
        np.testing.assert_array_equal(out, expected)

    def test_an_array_that_ends_too_early_is_refused(self, source: ByteSource) -> None:
        array = PlainArray(source, "values", np.dtype(np.uint8), 10_000, np.array([0, 195_000]))
        out = np.zeros(20_000, np.uint8)
        with pytest.raises(DamagedFileError, match="values"):
            array.read(Spans(np.array([0]), np.array([20_000]), np.array([0])), out, ANY)


def _send(source: ByteSource, results: "Queue[object]") -> None:
    with suppress(BaseException):
        results.put(bytes(source.read(1_000, 1_000)))
        return
    results.put(b"")

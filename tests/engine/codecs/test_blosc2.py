"""Frames of Blosc2 are held to the size of their chunk, whatever they say of it and wherever they say it is."""

import h5py
import hdf5plugin
import numpy as np
import pytest

from scdataset.engine.codecs.blosc2 import blosc2_size
from scdataset.engine.codecs.unpacking import check_unpacked

LARGE = 2**31 - 2**20
CHUNK, PLACE = 97, 8
"""Where the chunk is in a frame without a shape, and the bytes of its place."""


def frame_of(values, path):
    """Return the only chunk of an array, as HDF5's filter stores it."""
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("a", data=values, chunks=values.shape, **hdf5plugin.Blosc2())
        return bytearray(stored.id.read_direct_chunk((0,) * values.ndim)[1])


def with_chunk_elsewhere(frame):
    """Add a chunk of zeros that says it is large, and let the table of places lead to it."""
    (stored,) = np.frombuffer(frame, ">i8", 1, 39)
    bomb = bytearray(frame[CHUNK : CHUNK + 32])
    bomb[4:16] = np.array([LARGE, 1 << 20, 32], "<i4").tobytes()
    bomb[31] = 1 << 4
    table = CHUNK + int(stored)
    made = frame[:table] + bomb + frame[table:]
    made[39:47] = np.array(stored + 32, ">i8").tobytes()
    made[16:24] = np.array(len(made), ">i8").tobytes()
    place = table + 32 + 32
    made[place : place + PLACE] = np.array(stored, "<i8").tobytes()
    return made


def with_chunk_of_zeros(frame):
    """Say that the chunk is large and holds zeros, so that it is not stored."""
    (stored,) = np.frombuffer(frame, ">i8", 1, 39)
    made = frame.copy()
    made[30:38], made[58:62] = np.array(LARGE, ">i8").tobytes(), np.array(LARGE, ">i4").tobytes()
    place = CHUNK + int(stored) + 32
    made[place : place + PLACE] = bytes(7) + b"\x81"
    return made


@pytest.mark.parametrize("shape", [(1,), (300,), (70_001,), (777, 333), (129, 5)])
def test_the_size_of_a_chunk_is_that_of_its_content_without_padding(tmp_path, shape):
    for values in (np.random.default_rng(0).random(shape), np.zeros(shape)):
        frame = frame_of(values, tmp_path / "a.h5")
        assert blosc2_size(memoryview(frame), 8) == values.nbytes
        check_unpacked(frame, (("blosc2", (1, 0, 8)),), values.nbytes)


@pytest.mark.parametrize("change", [with_chunk_elsewhere, with_chunk_of_zeros])
def test_a_chunk_that_says_it_is_large_is_refused_wherever_it_lies(tmp_path, change):
    frame = change(frame_of(np.arange(20.0), tmp_path / "a.h5"))
    with pytest.raises(ValueError, match=r"unpacks to 2,146,435,072 bytes"):
        check_unpacked(frame, (("blosc2", (1, 0, 8)),), 160)


def test_a_shape_that_is_large_or_has_too_small_a_chunk_is_refused(tmp_path):
    frame = frame_of(np.ones((60, 40)), tmp_path / "a.h5")
    sizes = frame.index(b"\x97\x00\x02\x92") + 4
    for size, said in ((1 << 30, "unpacks to 343,597,383,680 bytes"), (2, "where it can take 2,560 at most")):
        frame[sizes + 1 : sizes + 9] = np.array(size, ">i8").tobytes()
        with pytest.raises(ValueError, match=said):
            check_unpacked(frame, (("blosc2", (1, 0, 8)),), 19_200)


def test_what_is_no_frame_is_refused(tmp_path):
    frame = frame_of(np.arange(20.0), tmp_path / "a.h5")
    for broken in (frame[:50], frame[:-1], b"x" + frame[1:], bytes(300)):
        with pytest.raises(ValueError, match="it is no frame of blosc2"):
            blosc2_size(memoryview(broken), 8)
    many, compressed = frame.copy(), frame.copy()
    table = CHUNK + int(np.frombuffer(frame, ">i8", 1, 39)[0])
    many[table + 4], compressed[table + 2] = 80, 0
    for broken, said in ((many, "it has 10 chunks"), (compressed, "place of its chunk is compressed")):
        with pytest.raises(ValueError, match=said):
            blosc2_size(memoryview(broken), 8)

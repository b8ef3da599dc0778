"""Chunks of compressors beyond HDF5's own: damaged ones are errors, and none takes more memory than it may."""

import struct

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.stored import PLUGINS, any_values
from tests.examples import examples

from scdataset.engine.codecs.decoding import decode
from scdataset.engine.containers import hdf5
from scdataset.errors import DamagedFileError

pytest.importorskip("numcodecs")


def chunk_of(filters, size=2000, dtype="f4"):
    """Return the stored bytes of a chunk, its filters and its bytes when decoded."""
    with h5py.File("memory", "w", driver="core", backing_store=False) as h5:
        values = any_values(np.random.default_rng(0), size, dtype)
        dataset = h5.create_dataset("x", data=values, chunks=(size,), **PLUGINS[filters])
        stored = dataset.id.read_direct_chunk((0,))[1]
        return stored, hdf5.filters_of(dataset.id.get_create_plist()), values


def tried(stored, filters, values):
    """Decode a damaged chunk: what it should be, something of the right size, or an error of ours."""
    try:
        found = decode(bytes(stored), filters, 0, values.dtype, values.nbytes)
    except DamagedFileError:
        return
    assert found.size == values.size


@settings(max_examples=examples(600))
@given(
    filters=st.sampled_from(list(PLUGINS)),
    how=st.sampled_from(["cut", "bit", "bytes", "noise", "header"]),
    seed=st.integers(0, 10**6),
)
def test_a_damaged_chunk_is_an_error_or_of_the_right_size(filters, how, seed):
    good, chain, values = chunk_of(filters)
    rng = np.random.default_rng(seed)
    stored = bytearray(good)
    at = int(rng.integers(len(stored)))
    if how == "cut":
        del stored[at:]
    elif how == "bit":
        stored[at] ^= 1 << int(rng.integers(8))
    elif how == "bytes":
        stored[at : at + 9] = rng.bytes(9)
    elif how == "noise":
        stored[:] = rng.bytes(len(stored))
    else:
        stored[: int(rng.integers(1, 17))] = rng.bytes(int(rng.integers(1, 17)))
    tried(stored, chain, values)


def test_a_chunk_that_claims_too_much_is_refused_before_memory_is_taken():
    huge = 2**40
    zstd = b"\x28\xb5\x2f\xfd\xe0" + huge.to_bytes(8, "little") + bytes(9)
    claims = {
        "zstd": zstd,
        "lz4": struct.pack(">QI", huge, 2**30) + bytes(40),
        "bits lz4": struct.pack(">QI", huge, 8192) + bytes(40),
        "bits zstd": struct.pack(">QI", 8000, 4000 * 8) + struct.pack(">I", len(zstd)) + zstd,
        "blosc": b"\x02\x01\x21\x04" + (2**31 - 1).to_bytes(4, "little") * 2 + (56).to_bytes(4, "little") + bytes(40),
    }
    for name, stored in claims.items():
        _, chain, values = chunk_of(name)
        chain = [link for link in chain if link[0] != "fletcher32"]
        with pytest.raises(DamagedFileError, match="claims"):
            decode(stored, tuple(chain), 0, values.dtype, values.nbytes)


def test_zstd_that_does_not_say_its_size():
    """One frame of one block of nine bytes that are stored as they are: RFC 8878."""
    frame = b"\x28\xb5\x2f\xfd\x00\x00" + (1 | 9 << 3).to_bytes(3, "little") + b"ninebytes"
    assert decode(frame, (("zstd", ()),), 0, np.dtype("u1"), 9).tobytes() == b"ninebytes"
    with pytest.raises(DamagedFileError):
        decode(frame, (("zstd", ()),), 0, np.dtype("u1"), 8)

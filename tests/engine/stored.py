"""HDF5 arrays in every layout, and what rows of them have to be."""

import contextlib
import zlib
from dataclasses import dataclass

import h5py
import numpy as np
from hypothesis import strategies as st

FILTERS = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "gzip shuffle": {"compression": "gzip", "shuffle": True},
    "shuffle": {"shuffle": True},
    "fletcher32": {"fletcher32": True},
    "gzip shuffle fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
    "lzf shuffle fletcher32": {"compression": "lzf", "shuffle": True, "fletcher32": True},
    "scaleoffset": {"scaleoffset": 0},  # for integers, through the fallback path
}
PLUGINS = {}
"""Filters that writers have from the package hdf5plugin, and that are read here without it."""
with contextlib.suppress(ImportError):
    import hdf5plugin

    PLUGINS = {
        "blosc": hdf5plugin.Blosc(),
        "blosc zstd bits": hdf5plugin.Blosc(cname="zstd", shuffle=hdf5plugin.Blosc.BITSHUFFLE),
        "blosc lz4hc": hdf5plugin.Blosc(cname="lz4hc", clevel=9, shuffle=hdf5plugin.Blosc.NOSHUFFLE),
        "blosc stored": hdf5plugin.Blosc(clevel=0),
        "zstd": hdf5plugin.Zstd(),
        "zstd shuffle fletcher32": {**hdf5plugin.Zstd(clevel=19), "shuffle": True, "fletcher32": True},
        "lz4": hdf5plugin.LZ4(),
        "lz4 small blocks": hdf5plugin.LZ4(nbytes=40),
        "lz4 shuffle": {**hdf5plugin.LZ4(), "shuffle": True},
        "bits": hdf5plugin.Bitshuffle(cname="none"),
        "bits, small blocks": hdf5plugin.Bitshuffle(cname="none", nelems=16),
        "bits lz4": hdf5plugin.Bitshuffle(),
        "bits lz4, small blocks": hdf5plugin.Bitshuffle(nelems=8),
        "bits lz4, words": hdf5plugin.Bitshuffle(nelems=128),
        "bits zstd": {**hdf5plugin.Bitshuffle(cname="zstd"), "fletcher32": True},
    }
LAYOUTS = ("contiguous", "chunked", "compact", "partly written", "external", "skipped filters")
WHOLE = tuple(layout for layout in LAYOUTS if layout != "partly written")
"""Layouts of arrays of a sparse matrix, of which nothing may be missing."""
DTYPES = [*"bBhHiIlLefd?", ">i2", ">i4", ">u8", ">f4", ">f8"]


@dataclass(frozen=True)
class How:
    """How an array is stored."""

    layout: str
    filters: str
    chunk: tuple


def hows(*chunks, layouts=LAYOUTS):
    """Return a strategy of ways to store an array of as many axes as there are strategies of chunk sizes."""
    return st.builds(How, st.sampled_from(layouts), st.sampled_from(list(FILTERS)), st.tuples(*chunks))


def any_values(rng, shape, dtype):
    """Return values of any bits, not-a-numbers included."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    few = np.frombuffer(rng.bytes(32 * dtype.itemsize), dtype)  # few, so that compression finds some alike
    return few[rng.integers(0, 32, shape)]


def store(group, name, values, how, folder, fill=1):
    """Write ``values`` to a dataset; return it."""
    if how.layout == "compact" and values.nbytes < 60_000:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        kind = h5py.h5t.py_create(values.dtype, logical=True)
        h5py.h5d.create(group.id, name.encode(), kind, h5py.h5s.create_simple(values.shape), properties)
        if values.size:
            group[name][...] = values
        return group[name]
    if how.layout == "external" and values.size:
        path = folder / f"{group.name.strip('/')}-{name}.bin"
        path.write_bytes(b"before" + values.tobytes())
        return group.create_dataset(name, values.shape, values.dtype, external=[(path, 6, values.nbytes)])
    if how.layout in {"contiguous", "compact", "external"}:
        return group.create_dataset(name, data=values)
    options = dict(FILTERS[how.filters])
    if "scaleoffset" in options and (values.dtype.kind not in "iu" or not values.dtype.isnative):
        options = {}
    grow = (None,) * values.ndim
    dataset = group.create_dataset(
        name, values.shape, values.dtype, chunks=how.chunk, maxshape=grow, fillvalue=values.dtype.type(fill), **options
    )
    if how.layout == "partly written":
        half = values.shape[0] // 2
        dataset[:half] = values[:half]
    elif values.size:
        dataset[...] = values
    if how.layout == "skipped filters" and how.filters == "gzip shuffle":
        _skip_filters(dataset)
    return dataset


def _skip_filters(dataset):
    """Write the first chunks again without shuffle, without gzip, and without both."""
    item = dataset.dtype.itemsize
    stored = [dataset.id.get_chunk_info(i).chunk_offset for i in range(min(dataset.id.get_num_chunks(), 3))]
    for mask, offset in zip((1, 2, 3), stored, strict=False):
        plain = zlib.decompress(dataset.id.read_direct_chunk(offset)[1])
        if mask & 1:
            plain = np.frombuffer(plain, np.uint8).reshape(item, -1).T.tobytes()
        dataset.id.write_direct_chunk(offset, plain if mask & 2 else zlib.compress(plain), mask)


def some_rows(rng, n_rows):
    """Return kinds of windows: none, one, all in order, random ones with repeats, one often, all backwards."""
    if n_rows == 0:
        return [np.arange(0)]
    return [
        np.arange(0),
        rng.integers(0, n_rows, 1),
        np.arange(n_rows),
        rng.integers(0, n_rows, n_rows + 5),
        np.full(7, rng.integers(0, n_rows)),
        np.arange(n_rows)[::-1].copy(),
        np.sort(rng.permutation(n_rows)[: max(n_rows // 3, 1)]),
    ]


def same_bits(found, expected):
    """Tell whether arrays are of the same shape, type and bits."""
    expected = expected.astype(expected.dtype.newbyteorder("="))
    return found.shape == expected.shape and found.dtype == expected.dtype and found.tobytes() == expected.tobytes()

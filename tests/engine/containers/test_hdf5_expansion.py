"""Chunks of HDF5 that h5py would inflate without end are refused before it reads them."""

import zlib

import anndata
import h5py
import hdf5plugin
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from tests.children import with_little_memory

from scdataset import open_collection
from scdataset.engine.containers import hdf5_expansion
from scdataset.engine.containers.hdf5 import H5File, dense_matrix
from scdataset.engine.containers.hdf5_expansion import BoundedDataset, check_expansion
from scdataset.engine.context import ReadContext
from scdataset.errors import DamagedFileError

UNPACKED = 1 << 22


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Write a file with chunks in all of its arrays, of which a few hundred bytes may unpack to any number."""
    monkeypatch.setattr(hdf5_expansion, "_FREE", 1 << 18)
    cells = anndata.AnnData(np.eye(100, 30, dtype="f4"))
    cells.obs["group"] = pd.Categorical(list("abcde") * 20)
    cells.obs["size"] = np.arange(100.0)
    path = tmp_path / "a.h5ad"
    cells.write_h5ad(path, compression="gzip")
    return path


def with_bomb(path, name):
    """Write a chunk that inflates to far more than it holds; return the name of its dataset."""
    with h5py.File(path, "r+") as file:
        # Strings lie beside a mask from anndata 0.13 on.
        dataset = file[name] if isinstance(file[name], h5py.Dataset) else file[name]["values"]
        assert dataset.compression == "gzip"
        dataset.id.write_direct_chunk((0,) * dataset.ndim, zlib.compress(bytes(UNPACKED)))
        return dataset.name


@pytest.mark.parametrize("name", ["obs/group/codes", "obs/group/categories", "obs/size", "obs/_index"])
def test_a_column_that_inflates_to_far_more_than_it_holds_is_refused_with_its_name(path, name):
    name = with_bomb(path, name)
    with pytest.raises(DamagedFileError, match=rf"{path}: the chunk at \(0,\) of {name} cannot be decoded.*more than"):
        open_collection(path, obs=["group", "size"], unique_names=True)


def test_var_that_inflates_to_far_more_than_it_holds_is_refused(path):
    name = with_bomb(path, "var/_index")
    cells = open_collection(path)
    with pytest.raises(DamagedFileError, match=f"of {name} cannot be decoded"):
        _ = cells.var


def test_row_pointers_that_inflate_to_far_more_than_they_hold_are_refused(tmp_path, monkeypatch):

    monkeypatch.setattr(hdf5_expansion, "_FREE", 1 << 18)
    path = tmp_path / "a.h5ad"
    anndata.AnnData(scipy.sparse.eye(100, 30, format="csr", dtype="f4")).write_h5ad(path, compression="gzip")
    with_bomb(path, "X/indptr")
    with pytest.raises(DamagedFileError, match=r"of /X/indptr cannot be decoded.*more than"):
        open_collection(path)


def test_sound_chunks_are_read_also_those_that_are_looked_into(path, monkeypatch):
    monkeypatch.setattr(hdf5_expansion, "_FREE", 0)
    cells = open_collection(path, obs=["group", "size"], unique_names=True)
    assert cells.obs["size"].tolist() == np.arange(100.0).tolist()
    assert cells.obs["group"].tolist() == list("abcde") * 20


@pytest.mark.parametrize("options", [{"compression": "lzf"}, hdf5plugin.Blosc(), hdf5plugin.Zstd(), hdf5plugin.LZ4()])
def test_a_chunk_of_any_compressor_is_held_to_its_size(tmp_path, monkeypatch, options):
    monkeypatch.setattr(hdf5_expansion, "_FREE", 1 << 10)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, n in {"small": 1000, "large": 1 << 20}.items():
            file.create_dataset(name, data=np.zeros(n), chunks=(n,), **options)
        check_expansion(file, 1)
        _, content = file["large"].id.read_direct_chunk((0,))
        file["small"].id.write_direct_chunk((0,), content)
        with pytest.raises(DamagedFileError, match=r"chunk at \(0,\) of /small cannot be decoded"):
            check_expansion(file, 1)


def test_records_with_strings_of_any_length_have_the_size_that_they_take_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_expansion, "_FREE", 0)
    kind = np.dtype([("name", h5py.string_dtype()), ("size", "f8"), ("other", h5py.string_dtype())])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("obs", data=np.array([("a", 1.0, "b")] * 100, kind), chunks=(50,), compression="gzip")
        check_expansion(file, 1)
        assert file["obs"].id.get_storage_size() > 0


LARGE = 1 << 20
OTHERS = {
    "bzip2": hdf5plugin.BZip2(),
    "blosc2": hdf5plugin.Blosc2(),
    "scaleoffset under gzip": {"scaleoffset": 2, "compression": "gzip"},
    "szip": {"compression": "szip"},
}
"""Filters that are not decoded here."""


@pytest.fixture(params=OTHERS)
def small(request, tmp_path):
    """Write a small array whose second chunk, and filters, are those of a large one."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        large = file.create_dataset("large", data=np.zeros(LARGE), chunks=(LARGE,), **OTHERS[request.param])
        skipped, content = large.id.read_direct_chunk((0,))
        filters = large.id.get_create_plist()
        filters.set_chunk((10,))
        space, kind = h5py.h5s.create_simple((20,)), large.id.get_type()
        small = h5py.Dataset(h5py.h5d.create(file.id, b"small", kind, space, filters))
        small.id.write_direct_chunk((10,), content, skipped)
        layout = h5py.VirtualLayout((20,), "f8")
        layout[:] = h5py.VirtualSource(small)
        file.create_virtual_dataset("view", layout)
        sound = file.create_dataset("sound", data=np.arange(20.0), chunks=(10,), **OTHERS[request.param])
        assert sound.id.get_create_plist().get_nfilters() == filters.get_nfilters()
        yield file


def test_a_chunk_of_a_filter_that_the_library_alone_decodes_is_held_to_its_size(small):
    for name in ("small", "view"):
        with pytest.raises(
            DamagedFileError, match=r"chunk at \(10,\) of /small cannot be decoded: it unpacks to [\d,]{5}"
        ):
            check_expansion(small[name])
    assert BoundedDataset(lambda: small["sound"], set())[3:15].tolist() == small["sound"][3:15].tolist()


def test_of_a_dataset_that_is_read_in_parts_those_chunks_are_looked_at_that_are_read(small):
    known = set()
    part = BoundedDataset(lambda: small["small"], known)
    with pytest.raises(DamagedFileError, match=r"chunk at \(10,\) of /small"):
        _ = part[9:11]
    assert part[2:10].tolist() == [0] * 8
    _ = BoundedDataset(lambda: small["sound"], known)[5:15]
    assert known == {(0,), (10,)}


def test_values_under_filters_of_the_library_take_no_more_memory_than_their_chunk(tmp_path):
    path = tmp_path / "a.h5ad"
    anndata.AnnData(np.eye(100, 30, dtype="i4")).write_h5ad(path)
    bomb = zlib.compressobj(1)
    content = b"".join(bomb.compress(bytes(1 << 24)) for _ in range(40)) + bomb.flush()
    with h5py.File(path, "r+") as file:
        attributes = dict(file["X"].attrs)
        del file["X"]
        made = file.create_dataset("X", (100, 30), "i4", chunks=(50, 30), scaleoffset=0, compression="gzip")
        made.attrs.update(attributes)
        made[:] = np.eye(100, 30, dtype="i4")
    assert open_collection(path).read(np.arange(60))["X"].sum() == 30
    with h5py.File(path, "r+") as file:
        file["X"].id.write_direct_chunk((50, 0), content)
    code = """
import sys
import numpy as np
from scdataset import DamagedFileError, open_collection
cells = open_collection(sys.argv[1])
assert cells.read(np.arange(50))["X"].sum() == 30
try:
    cells.read(np.arange(60))
except DamagedFileError as error:
    print(error)
"""
    assert "the chunk at (50, 0) of /X cannot be decoded: it unpacks to" in with_little_memory(
        code, path, megabytes=400
    )


def test_a_filter_that_may_unpack_to_any_size_is_refused_unless_it_is_trusted(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("X", data=np.ones((40, 30), "f4"), chunks=(40, 30), **hdf5plugin.Zfp(reversible=True))
    matrix = dense_matrix(H5File(str(path)), "X")
    with pytest.raises(DamagedFileError, match=r"\(32013\) may unpack it to any size.*SCDATASET_UNBOUNDED_CODECS=1"):
        matrix.read(np.arange(3), ReadContext())
    monkeypatch.setenv("SCDATASET_UNBOUNDED_CODECS", "1")
    assert matrix.read(np.arange(3), ReadContext()).sum() == 90

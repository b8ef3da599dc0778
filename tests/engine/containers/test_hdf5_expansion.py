"""Chunks of HDF5 that h5py would inflate without end are refused before it reads them."""

import zlib

import anndata
import h5py
import hdf5plugin
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from scdataset import open_collection
from scdataset.engine.containers import hdf5_expansion
from scdataset.engine.containers.hdf5_expansion import check_expansion
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
    with h5py.File(path, "r+") as file:
        dataset = file[name]
        assert dataset.compression == "gzip"
        dataset.id.write_direct_chunk((0,) * dataset.ndim, zlib.compress(bytes(UNPACKED)))


@pytest.mark.parametrize("name", ["obs/group/codes", "obs/group/categories", "obs/size", "obs/_index"])
def test_a_column_that_inflates_to_far_more_than_it_holds_is_refused_with_its_name(path, name):
    with_bomb(path, name)
    with pytest.raises(DamagedFileError, match=rf"{path}: the chunk at \(0,\) of /{name} cannot be decoded.*more than"):
        open_collection(path, obs=["group", "size"], unique_names=True)


def test_var_that_inflates_to_far_more_than_it_holds_is_refused(path):
    with_bomb(path, "var/_index")
    cells = open_collection(path)
    with pytest.raises(DamagedFileError, match="of /var/_index cannot be decoded"):
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

"""Every dataset of a file of HDF5, small ones too: one that cannot be read is named, by an error of this package."""

import shutil
import warnings
from functools import partial

import h5py
import numpy as np
import pytest
from tests.written import CHR21, cells, counts, genome, layered, modalities, write_records, write_tenx

from scdataset import open_collection
from scdataset.errors import DamagedFileError, ScDatasetError


def write_loom(path):
    with h5py.File(path, "w") as h5:
        h5["matrix"] = counts(20, 30).toarray()
        h5["row_attrs/Gene"], h5["col_attrs/CellID"] = np.array([b"g"] * 20), np.array([b"c"] * 30)
        h5["col_attrs/depth"] = np.arange(30)


FILES = {
    "10x 3": (partial(write_tenx, parts=CHR21), {"obs": ["barcode"]}),
    "10x 2": (partial(write_tenx, parts=genome("hg19")), {"obs": ["barcode"]}),
    "loom": (write_loom, {"obs": ["depth"]}),
    "h5ad": (lambda path: cells(counts(30, 20)).write_h5ad(path), {"obs": ["kind", "int64"], "obsm": ["X_pca"]}),
    "h5ad raw": (lambda path: layered().write_h5ad(path), {"layer": "raw"}),
    "h5ad of records": (write_records, {"obs": ["int64"]}),
    "h5mu": (lambda path: modalities().write_h5mu(path), {"obs": ["arange"]}),
}


def arrays_of(path):
    names = []
    with h5py.File(path) as h5:
        h5.visititems(lambda name, item: names.append(name) if getattr(item, "size", 0) and item.shape else None)
    return names


def make_unreadable(path, name):
    """Store an array in one chunk that cannot be decoded."""
    with h5py.File(path, "a") as h5:
        values, attributes = h5[name][()], dict(h5[name].attrs)
        del h5[name]
        array = h5.create_dataset(name, data=values, chunks=values.shape, compression="gzip")
        array.attrs.update(attributes)
        array.id.write_direct_chunk((0,) * values.ndim, b"no gzip")


def use(path, options):
    collection = open_collection(path, num_threads=1, **options)
    _ = collection.obs, collection.obs_names
    if "arange" not in options.get("obs", ()):
        _ = collection.var
    collection.read(np.arange(len(collection)))


@pytest.mark.parametrize("name", FILES)
def test_an_array_that_cannot_be_read_is_damage(tmp_path, name):
    write, options = FILES[name]
    sound, path = tmp_path / "sound.h5ad", tmp_path / "m.h5ad"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(sound)
    use(sound, options)
    errors = {}
    for array in arrays_of(sound):
        shutil.copy(sound, path)
        make_unreadable(path, array)
        try:
            use(path, options)
        except ScDatasetError as error:
            errors[array] = error
    assert sum(isinstance(error, DamagedFileError) for error in errors.values()) > 2
    assert [array for array, error in errors.items() if str(path) not in str(error)] == []

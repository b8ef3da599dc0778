"""Parts of HDF5 files in others: external links, virtual datasets, external storage; gone, changed or damaged."""

import os
import pickle

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from scdataset import CollectionError, DamagedFileError, Streaming, open_collection, scDataset
from scdataset.engine.containers.hdf5 import H5File, arrays_of

VALUES = np.arange(40, dtype="f4").reshape(10, 4)


def _link(folder, h5):
    h5["X"] = h5py.ExternalLink("other.h5", "/values")


def _virtual(folder, h5):
    layout = h5py.VirtualLayout((10, 4), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "values", (10, 4))
    h5.create_virtual_dataset("X", layout)


def _stored(folder, h5):
    h5.create_dataset("X", (10, 4), "f4", external=[(folder / "other.h5", 0, VALUES.nbytes)])


KINDS = {"link": _link, "virtual": _virtual, "storage": _stored}


def _write_other(folder, kind, values=VALUES):
    if kind == "storage":
        (folder / "new").write_bytes(values.tobytes())
    else:
        with h5py.File(folder / "new", "w") as h5:
            h5["values"] = values
    (folder / "new").replace(folder / "other.h5")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def cells(kind, tmp_path):
    """Write a file of cells whose X lies in another file."""
    anndata.AnnData(np.zeros((10, 4), "f4")).write_h5ad(tmp_path / "a.h5ad")
    _write_other(tmp_path, kind)
    with h5py.File(tmp_path / "a.h5ad", "a") as h5:
        attributes = dict(h5["X"].attrs)
        del h5["X"]
        KINDS[kind](tmp_path, h5)
        h5["X"].attrs.update(attributes)
    return tmp_path / "a.h5ad"


def _gone(folder, kind):
    (folder / "other.h5").unlink()


def _other_content(folder, kind):
    _write_other(folder, kind, VALUES + 1)


def _too_short(folder, kind):
    _write_other(folder, kind, VALUES[:5])


def _pipe(folder, kind):
    (folder / "other.h5").unlink()
    os.mkfifo(folder / "other.h5")


@pytest.mark.parametrize("change", [_gone, _other_content, _too_short, _pipe])
def test_another_file_that_changes_is_refused_and_nothing_made_up(cells, kind, change):
    rows = np.array([9, 0, 3])
    opened = open_collection(cells)
    np.testing.assert_array_equal(opened.read(rows)["X"], VALUES[rows])
    sent = pickle.dumps(opened)
    change(cells.parent, kind)
    for collection in (opened, pickle.loads(sent)):
        with pytest.raises(DamagedFileError, match=r"other\.h5"):
            collection.read(rows)
    if change is not _other_content:
        with pytest.raises((DamagedFileError, CollectionError), match=r"other\.h5|obs"):
            open_collection(cells).read(rows)


def test_handles_of_the_user_are_held_to_the_same(cells, kind):
    if kind == "link":
        pytest.skip("h5py opened the other file")
    backed, handle = anndata.read_h5ad(cells, backed="r"), h5py.File(cells)["X"]
    datasets = [scDataset(one, Streaming(), 10) for one in (backed, handle)]
    for dataset in datasets:
        batch = next(iter(dataset))
        np.testing.assert_array_equal(getattr(batch, "X", batch), VALUES)
    _gone(cells.parent, kind)
    for dataset in datasets:
        with pytest.raises(DamagedFileError, match=r"other\.h5"):
            next(iter(dataset))
    for one in (anndata.read_h5ad(cells, backed="r"), h5py.File(cells)["X"]):
        with pytest.raises(DamagedFileError, match=r"other\.h5"):
            scDataset(one, Streaming(), 10)


def test_strings_of_a_linked_file_are_kept_from_the_library_where_they_are_damaged(tmp_path):
    path = tmp_path / "a.h5ad"
    anndata.AnnData(VALUES, obs=pd.DataFrame({"a": ["b" * 100] * 10}, [f"c{n}" for n in range(10)])).write_h5ad(path)
    path.rename(tmp_path / "other.h5")
    stored = bytearray((tmp_path / "other.h5").read_bytes())
    with h5py.File(path, "w") as h5:
        h5.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name in ("X", "obs", "var"):
            h5[name] = h5py.ExternalLink("other.h5", name)
    assert open_collection(path, obs=["a"]).read(np.arange(10))["X"].sum() == VALUES.sum()
    at = stored.find(b"GCOL\x01")
    while at >= 0:
        stored[at + 16 : at + 32] = bytes(16)  # an object of no size, which leads nowhere
        at = stored.find(b"GCOL\x01", at + 1)
    (tmp_path / "other.h5").write_bytes(stored)
    with pytest.raises(DamagedFileError, match="cannot be read"):
        open_collection(path, obs=["a"], unique_names=True)


def test_virtual_arrays_that_name_nothing_or_lead_in_a_circle_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        for name, file, source in (("one", ".", "two"), ("two", "a.h5", "one"), ("none", ".", "x")):
            layout = h5py.VirtualLayout((5,), "f4")
            layout[:] = h5py.VirtualSource(file, source, (5,))
            h5.create_virtual_dataset(name, layout)
        growing = h5py.h5s.create_simple((5,), (h5py.h5s.UNLIMITED,))
        growing.select_hyperslab((0,), (h5py.h5s.UNLIMITED,), (5,), (5,))
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_virtual(growing, b"b%b.h5", b"x", h5py.h5s.create_simple((5,)))
        h5py.h5d.create(h5.id, b"all", h5py.h5t.NATIVE_FLOAT, growing, properties)
        h5["here"] = h5py.SoftLink("/there")
        h5["there"] = h5py.ExternalLink("a.h5", "/here")
    for name, error, told in (
        ("one", DamagedFileError, "circle"),
        ("none", DamagedFileError, "'x' of '.', where there is no such array"),
        ("all", CollectionError, "pattern"),
        ("here", DamagedFileError, "here"),
    ):
        with pytest.raises(error, match=told):
            arrays_of(H5File(str(tmp_path / "a.h5")), name)


@pytest.mark.parametrize("name", ["matrix", "mod", "obs"])
def test_a_missing_file_is_named_that_holds_what_tells_the_format(tmp_path, name):
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5[name] = h5py.ExternalLink("other.h5", f"/{name}")
    with pytest.raises(DamagedFileError, match=r"'other\.h5', which is not there"):
        open_collection(tmp_path / "a.h5")

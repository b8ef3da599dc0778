"""Groups and arrays, the same way in HDF5 and in zarr."""

import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

from scdataset.cells.formats.nodes import Node, as_text
from scdataset.errors import DamagedFileError

NAMES = [f"é{i}" for i in range(30)]


@pytest.fixture(params=["h5", "zarr"])
def root(request, tmp_path):
    path = tmp_path / f"a.{request.param}"
    columns = {"depth": np.arange(30), "type": pd.Categorical(["a", "b", "c"] * 10)}
    frame = pd.DataFrame(columns, pd.Index(NAMES, dtype=object))
    if request.param == "h5":
        with h5py.File(path, "w") as file:
            anndata.io.write_elem(file, "obs", frame)
        with h5py.File(path) as file:
            yield Node(str(path), "", file)
    else:
        with anndata.settings.override(zarr_write_format=3), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            anndata.io.write_elem(zarr.open_group(path, mode="w", zarr_format=3), "obs", frame)
        yield Node(str(path), "", zarr.open_group(path, mode="r"))


def test_members_are_found_by_name(root):
    obs = root.child("obs")
    assert obs.names() == ["_index", "depth", "type"]
    assert (obs.is_array, obs.child("depth").is_array) == (False, True)
    assert obs.find("nothing") is None
    assert obs.child("depth").find("nothing") is None
    with pytest.raises(DamagedFileError, match="has no obs/nothing; it is damaged"):
        obs.child("nothing")


def test_attributes_are_text_whatever_the_format(root):
    obs = root.child("obs")
    assert obs.kind == "dataframe"
    assert obs.texts("column-order") == ["depth", "type"]
    assert obs.attribute("nothing") is None
    with pytest.raises(DamagedFileError, match="nothing of obs is None"):
        obs.texts("nothing")
    assert as_text(b"old") == as_text("old") == "old"


def test_arrays_are_read_whole_in_parts_and_as_anndata_does(root):
    depth = root.child("obs/depth") if root.path.endswith("h5") else root.child("obs").child("depth")
    assert (depth.shape, depth.dtype) == ((30,), np.int64)
    assert depth.values().tolist() == list(range(30))
    assert depth.part(slice(7, 9)).tolist() == [7, 8]
    categories = root.child("obs").child("type").element()
    assert list(categories[:4]) == ["a", "b", "c", "a"]


def test_strings_are_read_in_pieces_beside_other_arrays(root):
    obs = root.child("obs")
    index, depth = obs.child("_index"), obs.child("depth")
    assert (index.is_strings, depth.is_strings) == (True, False)
    pieces = list(index.pieces(depth))
    assert index.decoded(np.concatenate([names for names, _ in pieces])).tolist() == NAMES
    assert np.concatenate([numbers for _, numbers in pieces]).tolist() == list(range(30))
    assert depth.strings() is None

"""Files are opened once to recognise and read them, and closed where they are refused."""

import warnings

import anndata
import h5py
import numpy as np
import pytest

from scdataset import open_collection
from scdataset.cells.formats.probe import probing
from scdataset.engine.containers import hdf5, zarr
from scdataset.errors import ArgumentValueError


def write_loom(path):
    with h5py.File(path, "w") as file:
        file["matrix"] = np.eye(3, 4)
        for group in ("row_attrs", "col_attrs"):
            file.create_group(group)


@pytest.fixture
def openings(monkeypatch):
    """Return the list of what h5py and zarr are asked to open from here on."""
    seen = []
    for module, name in ((hdf5, "open_checked"), (zarr, "checked_store")):
        opening = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, opening=opening: seen.append(given) or opening(*given))
    return seen


@pytest.mark.parametrize("name", ["a.h5ad", "a.loom", "a.zarr"])
def test_a_file_is_opened_once_for_its_format_and_its_cells(tmp_path, openings, name):
    cells, path = anndata.AnnData(np.eye(4, 3, dtype="f4")), tmp_path / name
    writers = {"a.h5ad": cells.write_h5ad, "a.loom": write_loom, "a.zarr": cells.write_zarr}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writers[name](path)
    collection = open_collection(path)
    assert len(openings) == 1
    assert len(collection) == 4


@pytest.mark.parametrize("name", ["tenx/scanpy_v3_GRCh38chr21.h5", "zarr/anndata_archive_v0.7.8.zarr.zip"])
def test_a_real_file_is_opened_once_for_its_format_and_its_cells(real_data, openings, name):
    open_collection(real_data(name))
    assert len(openings) == 1


def test_a_file_that_is_refused_is_closed(tmp_path):
    path = tmp_path / "a.h5ad"
    anndata.AnnData(np.eye(4, 3, dtype="f4")).write_h5ad(path)
    with pytest.raises(ArgumentValueError, match="has to be left out"):
        open_collection(path, feature_types=["x"])
    with h5py.File(path, "r+") as file:  # which HDF5 refuses of a file that is open
        file.attrs["a"] = 1


def test_a_probe_that_was_handed_over_is_opened_anew(tmp_path):
    anndata.AnnData(np.eye(4, 3, dtype="f4")).write_h5ad(tmp_path / "a.h5ad")
    with probing(str(tmp_path / "a.h5ad")) as probe:
        taken = probe.hdf5
        probe.hand_over()
        assert probe.content == "h5ad"
        assert probe.hdf5 is not taken

"""Stores that zarr itself reads, as they were when they were opened."""

import zipfile

import numpy as np
import pytest
import zarr

from scdataset import DamagedFileError
from scdataset.engine.containers.zarr_keys import Keys
from scdataset.engine.containers.zarr_library import checked_store

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=["folder", "zip"])
def path(request, tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("x", data=np.arange(20), chunks=(5,), shards=(10,), compressors=None)
    if request.param == "folder":
        return tmp_path / "a.zarr"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted((tmp_path / "a.zarr").rglob("*")):
            if file.is_file():
                archive.write(file, str(file.relative_to(tmp_path / "a.zarr")))
    return tmp_path / "a.zip"


def test_arrays_are_those_of_the_store_and_cannot_be_written(path):
    group = zarr.open_group(checked_store(Keys(str(path))), mode="r")
    assert group["x"][:].tolist() == list(range(20))
    assert group["x"][7:9].tolist() == [7, 8]
    with pytest.raises(ValueError, match=r"read.only"):
        zarr.open_group(checked_store(Keys(str(path))), mode="a").create_group("y")


def test_a_chunk_that_changes_after_opening_is_refused(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("x", data=np.arange(20), chunks=(5,), compressors=None)
    opened = zarr.open_group(checked_store(Keys(str(tmp_path / "a.zarr"))), mode="r")
    group["x"][:5] = 99
    with pytest.raises(DamagedFileError, match=r"x/c/0.*was changed"):
        opened["x"][:]

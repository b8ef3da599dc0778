"""Handles of HDF5 are open while someone uses them, and closed by the last one."""

import os

import h5py
import numpy as np
import pytest

from scdataset.engine.containers.handles import handles_open
from scdataset.engine.containers.hdf5 import H5File


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(3)
    return str(tmp_path / "a.h5")


def is_open(path):
    files = h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)
    return any(os.fsdecode(h5py.h5f.get_name(file)) == path for file in files)


def test_the_last_user_closes_what_was_opened(path):
    file = H5File(path)
    with handles_open():
        with handles_open():
            assert file.dataset("x")[:].tolist() == [0, 1, 2]
        assert is_open(path)
    assert not is_open(path)


def test_an_error_closes_them_as_well(path):
    file = H5File(path)
    with pytest.raises(KeyError), handles_open():
        file.h5["y"]
    assert not is_open(path)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_does_not_wait_for_users_of_its_parent(path):
    file = H5File(path)
    with handles_open():
        child = os.fork()
        if child == 0:
            with handles_open():
                file.h5.keys()
            os._exit(int(is_open(path)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

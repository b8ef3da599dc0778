"""Plain bytes of one array a file."""

import numpy as np
import pytest

from scdataset.engine.arrays.spans import ANY, Spans
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers.npy import npy_array, raw_array
from scdataset.errors import DamagedFileError


def content(array, size):
    out = np.empty(size, array.dtype)
    for work, first, last in array.tasks(Spans(*np.array([[0], [size], [0]])), out, ANY, 1):
        work(first, last)
    return out


def test_elements_are_those_of_numpy(tmp_path):
    values = np.arange(10, dtype="f4")
    np.save(tmp_path / "a.npy", values)
    array, size = npy_array(LocalFile(str(tmp_path / "a.npy")), "a")
    assert content(array, size).tolist() == values.tolist()


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.zeros(2, ">i8")])
def test_other_arrays_are_refused(tmp_path, values):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(DamagedFileError, match="it has to have one axis, of numbers"):
        npy_array(LocalFile(str(tmp_path / "a.npy")), "a")


def test_a_file_that_is_too_short_is_damaged(tmp_path):
    (tmp_path / "a").write_bytes(bytes(7))
    with pytest.raises(DamagedFileError, match="a has 7 bytes, too few for 1 element of int64"):
        raw_array(LocalFile(str(tmp_path / "a")), "a", np.dtype("i8"), 1)

"""HDF5 files behind a user block: read in place where the library counts it, and right where it does not."""

import h5py
import numpy as np
import pytest

from scdataset.engine.containers import hdf5
from scdataset.engine.context import ReadContext
from scdataset.engine.threads import Threads


@pytest.mark.parametrize("counted", [None, False])
@pytest.mark.parametrize("size", [512, 4096])
@pytest.mark.parametrize("options", [{}, {"chunks": (5, 9)}, {"chunks": (5, 9), "compression": "gzip"}])
def test_rows_are_right_whether_the_library_counts_it_or_not(tmp_path, monkeypatch, counted, size, options):
    if counted is False:
        monkeypatch.setattr(hdf5, "counts_user_block", lambda: False)
    values = np.random.default_rng(0).normal(size=(30, 9))
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=size) as file:
        file.create_dataset("X", data=values, **options)
    file = hdf5.H5File(str(tmp_path / "a.h5"))
    rows = np.array([3, 29, 0, 3])
    assert np.array_equal(hdf5.dense_matrix(file, "X").read(rows, ReadContext(Threads(1))), values[rows])
    assert (hdf5.chunk_index_of(file, "X").table is not None) == (counted is None and hdf5.counts_user_block())
    file.close()

"""Datasets of groups of HDF5."""

import h5py
import numpy as np
import pytest

from scdataset.engine.containers.hdf5_groups import datasets_within


@pytest.mark.parametrize(("depth", "found"), [(0, set()), (1, {"a"}), (2, {"a", "b"}), (3, {"a", "b", "c"})])
def test_datasets_are_found_down_to_a_depth(tmp_path, depth, found):
    with h5py.File(tmp_path / "m.h5", "w") as h5:
        for name in ("a", "one/b", "one/two/c"):
            h5[name] = np.arange(3)
        assert {dataset.name.rpartition("/")[2] for dataset in datasets_within(h5, depth)} == found
        assert [dataset.name for dataset in datasets_within(h5["a"], depth)] == ["/a"]

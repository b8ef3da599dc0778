"""numpy arrays are taken by row; a slice is a view."""

import numpy as np
import pytest

from scdataset.collections import as_collection
from scdataset.collections.adapters.numpy import cut, take
from scdataset.errors import CollectionError

X = np.arange(12).reshape(4, 3)


def test_rows_are_new_memory_and_slices_are_views():
    assert np.array_equal(take(X, np.array([3, 0])), X[[3, 0]])
    assert not np.shares_memory(take(X, np.array([0, 1])), X)
    assert np.shares_memory(take(X, slice(0, 2)), X)
    assert not np.shares_memory(cut(X, slice(0, 2)), X)


def test_an_archive_of_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", one=X, two=X)
    with np.load(tmp_path / "a.npz") as archive, pytest.raises(CollectionError, match=r"of 2 arrays \(one, two\)"):
        as_collection(archive)

"""Library sizes."""

import anndata
import numpy as np
import pytest

from scdataset import ArgumentValueError
from scdataset.pp import library_sizes

pytestmark = pytest.mark.usefixtures("small_windows")


def test_sizes_are_the_sums_of_the_cells(counts, opened):
    cells = opened(counts, rows_per_file=130)
    sums = counts.X.sum(axis=1, dtype=np.float64).A1
    found = library_sizes(cells)
    assert np.array_equal(found, sums)
    assert found.name == "total_counts"
    some = library_sizes(cells, indices=[200, 4, 31])
    assert list(some.index) == [200, 4, 31]
    assert np.array_equal(some, sums[[200, 4, 31]])


def test_adata_is_taken_too_and_gives_names_of_cells(counts):
    assert list(library_sizes(counts, indices=np.arange(300) < 2).index) == ["cell0", "cell1"]


def test_adata_without_a_matrix_is_refused(counts):
    with pytest.raises(ArgumentValueError, match="The cells have no X"):
        library_sizes(anndata.AnnData(obs=counts.obs, var=counts.var))


def test_negative_values_are_refused(counts, opened):
    made = counts.copy()
    made.X.data[-1] = -2
    with pytest.raises(ArgumentValueError, match=r"library_sizes takes numbers that are not negative.*from -2"):
        library_sizes(opened(made))

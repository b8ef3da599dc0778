"""Means and variances of genes by group."""

import numpy as np
import pytest

from scdataset.pp.moments import moments_of
from scdataset.pp.streaming import Cells


@pytest.mark.usefixtures("small_windows")
def test_means_and_variances_are_those_of_numpy(counts):
    groups = np.arange(counts.n_obs) % 3
    moments = moments_of(Cells(counts), groups, 3, lambda rows: rows.data.astype(np.float64), progress=False)
    dense = counts.X.toarray().astype(np.float64)
    assert moments.sizes.tolist() == np.bincount(groups).tolist()
    for group in range(3):
        mean, variance = moments.mean_and_variance(group)
        np.testing.assert_allclose(mean, dense[groups == group].mean(axis=0))
        np.testing.assert_allclose(variance, dense[groups == group].var(axis=0, ddof=1), atol=1e-9)
    np.testing.assert_allclose(moments.of_all()[0], dense.mean(axis=0))
    np.testing.assert_allclose(moments.of_all()[1], dense.var(axis=0, ddof=1), atol=1e-9)


@pytest.mark.usefixtures("small_windows")
def test_values_are_added_as_they_are_prepared(counts):
    groups = np.zeros(counts.n_obs, np.int64)
    moments = moments_of(Cells(counts), groups, 2, lambda rows: np.log1p(rows.data, dtype=np.float64), progress=False)
    np.testing.assert_allclose(moments.sums[0], np.log1p(counts.X.toarray(), dtype=np.float64).sum(axis=0))
    assert not moments.sums[1].any()

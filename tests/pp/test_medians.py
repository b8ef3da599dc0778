"""Medians of non-zero values are those of numpy, whether or not the values fit into memory."""

import numpy as np
import pytest

from scdataset import ArgumentTypeError, ArgumentValueError
from scdataset.pp import medians, nonzero_medians

pytestmark = pytest.mark.usefixtures("small_windows")


def expected(matrix, totals):
    with np.errstate(invalid="ignore"):
        values = matrix / totals[:, None] * 1e4
    return [np.median(gene[gene > 0]) if (gene > 0).any() else np.nan for gene in values.T]


@pytest.mark.parametrize("in_memory", [1 << 24, 1000, 10, 0])
def test_medians_are_exact(counts, opened, monkeypatch, in_memory):
    monkeypatch.setattr(medians, "_IN_MEMORY", in_memory)
    matrix = counts.X.toarray().astype(np.float64)
    found = nonzero_medians(opened(counts, rows_per_file=130))
    assert np.array_equal(found, expected(matrix, matrix.sum(axis=1)), equal_nan=True)
    assert found.isna().sum() > 7  # genes that no cell expresses
    assert list(found.index) == list(counts.var_names)


@pytest.mark.parametrize("in_memory", [1 << 24, 0])
def test_totals_that_are_given_go_with_the_rows(counts, opened, monkeypatch, in_memory):
    monkeypatch.setattr(medians, "_IN_MEMORY", in_memory)
    rows = np.random.default_rng(0).permutation(counts.n_obs)[:101]
    totals = np.random.default_rng(1).uniform(100, 1000, rows.size)
    found = nonzero_medians(opened(counts), totals=totals, indices=rows)
    assert np.array_equal(found, expected(counts.X[rows].toarray().astype(np.float64), totals), equal_nan=True)


@pytest.mark.parametrize("totals", [[1.0, 2.0], np.zeros(300), np.full(300, np.nan)])
def test_totals_that_do_not_fit_are_refused(counts, opened, totals):
    with pytest.raises(ArgumentValueError, match="give 300 numbers above 0"):
        nonzero_medians(opened(counts), totals=totals)


@pytest.mark.parametrize("options", [{"target_sum": "1e4"}, {"totals": "n_counts"}])
def test_numbers_of_another_type_are_refused(counts, opened, options):
    with pytest.raises(ArgumentTypeError, match=r"target_sum='1e4' is of type str|dtype <U8; give 300"):
        nonzero_medians(opened(counts), **options)


def test_a_sum_of_no_counts_is_refused(counts, opened):
    with pytest.raises(ArgumentValueError, match="target_sum=-1; give a finite number above 0"):
        nonzero_medians(opened(counts), target_sum=-1)

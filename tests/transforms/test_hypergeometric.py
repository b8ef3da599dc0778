"""Random numbers are hypergeometric."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scdataset.transforms import RowKeys
from scdataset.transforms.hypergeometric import hypergeometric

FALSE_ALARM = 1e-4


@pytest.mark.parametrize(
    ("n_good", "n_bad", "n_drawn"),
    [(3, 5, 4), (16, 40, 30), (200, 300, 9), (60, 50, 55), (400, 9_000, 2_000), (50_000, 70_000, 40_000)],
)
def test_numbers_are_hypergeometric(n_good, n_bad, n_drawn):
    keys = RowKeys(np.arange(4_000), seed=0, epoch=0).uint64("test")
    found = np.array([hypergeometric(n_good, n_bad, n_drawn, key) for key in keys])
    law = stats.hypergeom(n_good + n_bad, n_good, n_drawn)
    edges = np.unique(law.ppf(np.linspace(0, 1, 21)[1:-1]))
    expected = np.diff(np.concatenate([[0], law.cdf(edges), [1]])) * keys.size
    observed = np.bincount(np.searchsorted(edges, found), minlength=expected.size)
    likely = expected > 5
    assert observed[~likely].sum() <= expected[~likely].sum() + 5 * np.sqrt(expected[~likely].sum() + 1)
    scale = observed[likely].sum() / expected[likely].sum()
    assert stats.chisquare(observed[likely], expected[likely] * scale).pvalue > FALSE_ALARM


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 2 * 10**6), st.integers(0, 2**64 - 1))
def test_numbers_are_possible(n_good, n_bad, n_drawn, key):
    found = hypergeometric(n_good, n_bad, n_drawn, np.uint64(key))
    n_drawn = min(n_drawn, n_good + n_bad)
    assert max(0, n_drawn - n_bad) <= found <= min(n_good, n_drawn)

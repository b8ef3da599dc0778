"""Sampled counts follow the distribution that is promised."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy import stats

from scdataset.simulation.design import BURST_PARAMETER, DISPERSION
from scdataset.simulation.kernels import alias_table, sample_cells


def nb_counts(
    depth: float = 300.0,
    n_cells: int = 40_000,
    n_genes: int = 30,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return counts of one profile, shape (n_cells, n_genes), and the expected count of each gene."""
    rng = np.random.default_rng(5)
    weights = np.exp(rng.normal(0.0, 2.0, n_genes))
    bursts = rng.poisson(depth, n_cells)
    rows = sample_cells(weights, bursts, np.uint64(7), 0, BURST_PARAMETER)
    pointers = np.concatenate([[0], np.cumsum(rows.lengths)])
    burst_size = -BURST_PARAMETER / ((1 - BURST_PARAMETER) * np.log1p(-BURST_PARAMETER))
    expected = weights / weights.sum() * depth * burst_size
    return sp.csr_matrix((rows.data, rows.indices, pointers), (n_cells, n_genes)).toarray(), expected


def test_mean_and_variance_are_those_of_the_negative_binomial() -> None:
    counts, expected = nb_counts()
    standard_error = np.sqrt(DISPERSION * expected / len(counts))
    assert np.all(np.abs(counts.mean(axis=0) - expected) < 5 * standard_error)
    assert counts.var(axis=0) == pytest.approx(DISPERSION * expected, rel=0.15)


def test_counts_follow_the_negative_binomial_distribution() -> None:
    counts, expected = nb_counts()
    gene = int(np.argmin(np.abs(expected - 5)))
    n_values = 30
    theory = stats.nbinom(expected[gene] / (DISPERSION - 1), 1 / DISPERSION).pmf(np.arange(n_values))
    found = np.bincount(counts[:, gene].astype(int), minlength=n_values)[:n_values]
    enough = theory * len(counts) > 10
    statistic = ((found - theory * len(counts)) ** 2 / (theory * len(counts)))[enough].sum()
    assert stats.chi2(enough.sum()).sf(statistic) > 1e-4


def test_genes_of_one_cell_are_independent_at_a_given_depth() -> None:
    counts, expected = nb_counts()
    correlations = np.atleast_2d(np.corrcoef(counts[:, np.argsort(expected)[-5:]].T))
    assert np.abs(correlations[np.triu_indices(5, 1)]).max() < 0.03


def test_alias_table_gives_back_the_weights() -> None:
    weights = np.array([0.0, 1.0, 5.0, 0.5, 100.0, 3.5])
    keep, alias = alias_table(weights)
    shares = np.zeros(6)
    np.add.at(shares, np.arange(6), keep / 6)
    np.add.at(shares, alias, (1 - keep) / 6)
    assert shares == pytest.approx(weights / weights.sum())

"""Sums over the cells of groups: floats are added as one row after the other gives them."""

import numpy as np
import scipy.sparse as sp

from scdataset.pp.kernels import add_clipped, add_moments

X = sp.random(200, 30, 0.4, "csr", dtype=np.float32, random_state=0)
GROUPS = np.random.default_rng(0).integers(0, 5, 200)
ORDER = np.argsort(GROUPS, kind="stable")


def _one_by_one(values):
    """Return sums and sums of squares of rows, added in the order of the rows."""
    sums, squares = np.zeros((5, 30)), np.zeros((5, 30))
    places = np.repeat(GROUPS, np.diff(X.indptr)), X.indices
    np.add.at(sums, places, values)
    np.add.at(squares, places, values * values)
    return sums, squares


def test_groups_in_turns_have_the_bits_of_adding_row_after_row():
    sums, squares = np.zeros((5, 30)), np.zeros((5, 30))
    add_moments(X.indptr, X.indices, X.data, GROUPS, ORDER, sums, squares)
    assert np.array_equal((sums, squares), _one_by_one(X.data))


def test_values_are_clipped_at_the_limit_of_gene_and_group():
    sums, squares, limits = np.zeros((5, 30)), np.zeros((5, 30)), np.random.default_rng(1).random((5, 30))
    add_clipped(X.indptr, X.indices, X.data, GROUPS, ORDER, limits, sums, squares)
    clipped = np.minimum(X.data.astype(np.float64), limits[np.repeat(GROUPS, np.diff(X.indptr)), X.indices])
    assert np.array_equal((sums, squares), _one_by_one(clipped))

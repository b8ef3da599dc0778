"""Values that are chosen by the keys of their rows."""

import numpy as np
import pytest
import scipy.sparse as sp

from scdataset.transforms import RowKeys
from scdataset.transforms.random_kernels import choose_exactly, choose_independently

MATRIX = sp.random(400, 50, 0.5, "csr", random_state=0)
KEYS = RowKeys(np.arange(400), seed=0, epoch=0).uint64("test")
BOTH = pytest.mark.parametrize("choose", [choose_exactly, choose_independently])


@BOTH
def test_about_the_ratio_is_chosen(choose):
    chosen = choose(MATRIX.indices, MATRIX.indptr, KEYS, 0.3)
    assert chosen.mean() == pytest.approx(0.3, abs=0.02)
    columns = np.bincount(MATRIX.indices, chosen) / np.bincount(MATRIX.indices)
    assert columns == pytest.approx(0.3, abs=0.15)


def test_exactly_the_whole_part_of_the_ratio_is_chosen_of_each_row():
    chosen = choose_exactly(MATRIX.indices, MATRIX.indptr, KEYS, 0.3)
    counts = np.add.reduceat(chosen.astype(int), MATRIX.indptr[:-1])
    assert counts.tolist() == (np.diff(MATRIX.indptr) * 0.3).astype(int).tolist()


@BOTH
def test_a_row_has_the_same_values_chosen_whatever_is_beside_it(choose):
    whole = choose(MATRIX.indices, MATRIX.indptr, KEYS, 0.5)
    part = MATRIX[100:110]
    alone = choose(part.indices, part.indptr, KEYS[100:110], 0.5)
    assert np.array_equal(alone, whole[MATRIX.indptr[100] : MATRIX.indptr[110]])


def test_a_value_has_the_same_draw_whatever_else_is_stored():
    fewer = MATRIX[:, 20:30].tocsr()
    whole = sp.csr_matrix(
        (choose_independently(MATRIX.indices, MATRIX.indptr, KEYS, 0.5), MATRIX.indices, MATRIX.indptr)
    )
    found = choose_independently(fewer.indices + 20, fewer.indptr, KEYS, 0.5)
    expected = np.asarray(whole[fewer.nonzero()[0], fewer.nonzero()[1] + 20]).ravel()
    assert np.array_equal(found, expected)

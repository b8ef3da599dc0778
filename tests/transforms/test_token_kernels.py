"""Rows of genes as padded tokens."""

import numpy as np
import scipy.sparse as sp

from scdataset._compiled import read_only
from scdataset.transforms import RowKeys
from scdataset.transforms.token_kernels import fill_ranked, fill_sampled, fill_top

MATRIX = sp.csr_matrix(np.array([[0, 5, 1, 3, 9], [2, 0, 0, 0, 4], [0, 0, 0, 0, 0]], np.float32))
IDS = read_only(np.array([10, 11, -1, 13, 14]))  # as those of a transform, of which the functions are compiled
MEDIANS = read_only(np.ones(5))
KEYS = RowKeys(np.arange(3), seed=0, epoch=0).uint64("test")


def ranked(n_places, medians=MEDIANS):
    out = np.zeros((3, n_places), np.int64)
    totals = np.array([18.0, 6, 1])
    lengths = fill_ranked(MATRIX.data, MATRIX.indices, MATRIX.indptr, totals, IDS, medians, 4, 1, n_places, out)
    return out.tolist(), lengths.tolist()


def filled(fill, n_places, *, with_zeros=False):
    out, values = np.zeros((3, n_places), np.int64), np.zeros((3, n_places), np.float32)
    arrays = MATRIX.data, MATRIX.indices, MATRIX.indptr
    lengths = fill(*arrays, KEYS, IDS, 4, with_zeros, 4, 1, out, values)
    return out, values, lengths.tolist()


def test_tokens_are_ranked_by_value_over_the_median_of_the_gene():
    assert ranked(6) == ([[0, 14, 11, 13, 0, 0], [0, 14, 10, 0, 0, 0], [0] * 6], [3, 2, 0])
    assert ranked(3) == ([[0, 14, 11], [0, 14, 10], [0] * 3], [2, 2, 0])
    assert ranked(6, read_only(np.array([1.0, 1, 1, 1, 100])))[0][0] == [0, 11, 13, 14, 0, 0]


def test_all_genes_of_a_row_are_sampled_in_their_order_where_there_is_room():
    out, values, lengths = filled(fill_sampled, 6)
    assert out.tolist() == [[0, 11, 13, 14, 0, 0], [0, 10, 14, 0, 0, 0], [0] * 6]
    assert values.tolist() == [[0, 5, 3, 9, 0, 0], [0, 2, 4, 0, 0, 0], [0] * 6]
    assert lengths == [3, 2, 0]


def test_genes_without_a_value_are_sampled_where_asked():
    out, values, lengths = filled(fill_sampled, 6, with_zeros=True)
    assert out[:, 1:5].tolist() == [[10, 11, 13, 14]] * 3
    assert values[1].tolist() == [0, 2, 0, 0, 4, 0]
    assert lengths == [4, 4, 4]


def test_too_many_genes_are_a_sample_of_them():
    for fill in (fill_sampled, fill_top):
        out, values, lengths = filled(fill, 3, with_zeros=True)
        assert lengths == [2, 2, 2]
        for row in range(3):
            genes = out[row, 1:].tolist()
            assert len(set(genes)) == 2
            assert values[row, 1:].tolist() == [MATRIX[row, IDS.tolist().index(gene)] for gene in genes]


def test_the_largest_values_come_first_and_then_genes_without_one():
    out, values, _ = filled(fill_top, 6, with_zeros=True)
    assert out[0].tolist() == [0, 14, 11, 13, 10, 0]
    assert values[0].tolist() == [0, 9, 5, 3, 0, 0]
    assert filled(fill_top, 3)[0].tolist() == [[0, 14, 11], [0, 14, 10], [0, 0, 0]]

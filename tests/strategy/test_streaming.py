"""Streaming: the rows of the collection in their order."""

import numpy as np
import pytest
from scipy import sparse

from scdataset.errors import ArgumentTypeError
from scdataset.strategy import Streaming


def test_all_rows_come_in_order_in_every_epoch():
    for seed, epoch in [(0, 0), (0, 1), (9, 0)]:
        order = Streaming().order(1000, seed, epoch)
        assert np.array_equal(order.rows(0, len(order)), np.arange(1000))


@pytest.mark.parametrize(
    "indices", [range(3, 90, 7), [3, 10, 11, 50], np.isin(np.arange(100), [0, 99]), np.array([5], np.uint8)]
)
def test_selected_rows_come_in_order(indices):
    expected = np.arange(100)[indices] if isinstance(indices, np.ndarray) else np.array(indices)
    assert np.array_equal(Streaming(indices).get_indices(range(100)), expected)
    assert Streaming(indices).get_len(range(100)) == expected.size


def test_rows_are_shuffled_inside_windows_only_on_request():
    assert not Streaming().order(10, 0, 0).shuffles
    shuffling = Streaming(shuffle=True).order(10, 0, 0)
    assert shuffling.shuffles
    assert np.array_equal(shuffling.rows(0, 10), np.arange(10))  # the windows shuffle, not the order


def test_an_empty_collection_is_an_empty_epoch():
    assert Streaming().get_len([]) == 0
    assert Streaming().get_indices([]).size == 0


def test_a_sparse_matrix_has_rows_although_it_has_no_len():
    matrix = sparse.csr_matrix(np.eye(7))
    assert Streaming().get_len(matrix) == 7
    assert np.array_equal(Streaming().get_indices(matrix), np.arange(7))


def test_something_without_rows_is_refused():
    with pytest.raises(TypeError, match="len"):
        Streaming().get_len(5)


@pytest.mark.parametrize("shuffle", [2, "yes", None])
def test_a_misplaced_argument_is_no_flag(shuffle):
    with pytest.raises(ArgumentTypeError, match=r"shuffle=.* give True or False"):
        Streaming(None, shuffle)

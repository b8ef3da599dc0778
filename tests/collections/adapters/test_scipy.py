"""Sparse matrices and arrays are taken by row."""

import numpy as np
import pytest
import scipy.sparse

from scdataset import Streaming, scDataset
from scdataset.collections import as_collection
from scdataset.collections.adapters.scipy import cut, take
from scdataset.errors import CollectionError

MATRIX = scipy.sparse.random(20, 7, 0.4, "csr", rng=np.random.default_rng(0))


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csr_array, scipy.sparse.lil_matrix])
def test_rows_keep_their_kind(kind):
    rows = as_collection(kind(MATRIX)).read(np.array([7, 0, 7]))
    assert type(rows) is kind
    assert rows.toarray().tolist() == MATRIX.toarray()[[7, 0, 7]].tolist()


def test_a_slice_shares_memory_and_a_cut_does_not():
    for get, shares in ((take, True), (cut, False)):
        rows = get(MATRIX, slice(3, 9))
        assert np.shares_memory(rows.data, MATRIX.data) is shares
        assert rows.shape == (6, 7)
        assert rows.toarray().tolist() == MATRIX[3:9].toarray().tolist()
        rows.sum_duplicates()
        rows.data[:] = 1 if not shares else rows.data
    assert take(MATRIX, slice(9, 9)).shape == (0, 7)


def test_columns_warn_and_other_formats_are_refused():
    with pytest.warns(UserWarning, match="sparse by columns"):
        rows = as_collection(MATRIX.tocsc()).read(np.array([2]))
    assert rows.toarray().tolist() == MATRIX[2].toarray().tolist()
    with pytest.raises(CollectionError, match=r"'coo' format.*give data.tocsr\(\)"):
        as_collection(MATRIX.tocoo())


@pytest.mark.parametrize("kind", ["coo", "bsr", "dia"])
def test_a_hook_that_returns_another_format_is_told_what_to_return(kind):
    with pytest.raises(CollectionError, match=rf"'{kind}' format, .* give matrix\.tocsr\(\), or return that from"):
        list(scDataset(MATRIX, Streaming(), 4, fetch_transform=lambda window: window.asformat(kind)))

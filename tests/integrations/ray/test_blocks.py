"""Cells as Arrow and back, without a cluster."""

import numpy as np
import pyarrow as pa
import pytest

from scdataset import ArgumentValueError, open_collection
from scdataset.integrations.ray import to_csr
from scdataset.integrations.ray.blocks import Layout


@pytest.fixture
def cells(three_files):
    return open_collection(three_files, obs=["kind", "number"], obsm=["X_pca"], row_sums=True)


def test_a_block_has_every_column_and_comes_back(cells):
    rows = np.array([7, 3, 119])
    block = Layout.from_cells(cells, dense=False).block(cells, rows)
    read = cells[rows]
    assert block.column_names == ["row", "kind", "number", "total_counts", "genes", "expressions", "X_pca"]
    assert block["row"].to_pylist() == [7, 3, 119]
    assert (
        block["kind"].to_pylist()
        == cells.obs["kind"].iloc[rows].astype(object).where(lambda x: x.notna(), None).tolist()
    )
    assert block["number"].to_pylist() == cells.obs["number"].iloc[rows].tolist()
    np.testing.assert_array_equal(block["X_pca"].combine_chunks().to_numpy_ndarray(), read["X_pca"])
    np.testing.assert_array_equal(block["total_counts"], read["total_counts"])
    assert (to_csr(block) != read["X"]).nnz == 0
    assert to_csr(block).dtype == read["X"].dtype


def test_lists_lie_over_the_memory_of_the_engine_and_matrices_over_that_of_lists(cells, monkeypatch):
    read, matrices = cells.read_matrix, []
    monkeypatch.setattr(cells, "read_matrix", lambda rows: matrices.append(read(rows)) or matrices[-1])
    block = Layout.from_cells(cells, dense=False).block(cells, np.arange(40))
    matrix = to_csr(block)
    assert np.shares_memory(matrix.data, matrices[-1][0].data)
    assert np.shares_memory(matrix.indices, matrices[-1][0].indices)


def test_a_slice_and_joined_parts_come_back(cells):
    block = Layout.from_cells(cells, dense=False).block(cells, np.arange(120))
    whole = cells[:]["X"]
    assert (to_csr(block.slice(30, 50)) != whole[30:80]).nnz == 0
    assert (
        to_csr(pa.concat_tables([block.slice(90), block.slice(0, 10)])) != whole[[*range(90, 120), *range(10)]]
    ).nnz == 0
    assert to_csr(block.slice(0, 0)).shape == (0, 12)


@pytest.mark.parametrize("as_kind", [lambda block: block.to_pandas(), lambda block: dict(block.to_pandas().items())])
def test_batches_of_arrays_come_back_given_the_number_of_genes(cells, as_kind):
    block = Layout.from_cells(cells, dense=False).only(["genes", "expressions"]).block(cells, np.arange(20))
    assert (to_csr(as_kind(block), n_vars=12) != cells[:20]["X"]).nnz == 0
    with pytest.raises(ArgumentValueError, match="give n_vars"):
        to_csr(as_kind(block))


def test_chosen_genes_come_as_a_tensor(three_files):
    cells = open_collection(three_files, genes=["gene7", "gene2"])
    layout = Layout.from_cells(cells, dense=True)
    assert layout.names == ("row", "X")
    block = layout.block(cells, np.arange(50, 60))
    np.testing.assert_array_equal(block["X"].combine_chunks().to_numpy_ndarray(), cells[50:60]["X"].toarray())


def test_matrices_that_are_not_wanted_are_not_read(cells, monkeypatch):
    monkeypatch.delattr(type(cells), "read_matrix")
    block = Layout(("kind",), (), ("row", "kind"), dense=False).block(cells, np.arange(5))
    assert block.column_names == ["row", "kind"]


def test_columns_of_one_name_are_refused(three_files):
    cells = open_collection(three_files, obs=["row"])
    with pytest.raises(ArgumentValueError, match=r"names that blocks have for other columns: \['row'\]"):
        Layout.from_cells(cells, dense=False)


def test_a_batch_without_lists_is_refused(cells):
    with pytest.raises(ArgumentValueError, match=r"The batch has the columns \['row'\]; to_csr takes 'genes' and"):
        to_csr(pa.table({"row": [1]}))

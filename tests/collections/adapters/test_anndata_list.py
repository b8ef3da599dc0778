"""A list of AnnData with the same genes is one collection of their cells."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.collections.files import CELLS, PARTS, among_others, cells
from tests.collections.reference import IDS, N_ROWS, TYPES, X
from torch.utils.data import DataLoader

from scdataset import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    CollectionError,
    MultiIndexable,
    SamplingStrategy,
    Streaming,
    as_collection,
    scDataset,
)
from scdataset.errors import CollectionChangedError


def parts_of(matrix=sp.csr_matrix):
    """Return three parts of other categories, each with a column of its own and one that all have."""
    parts = [cells(matrix, rows) for rows in PARTS]
    for number, part in enumerate(parts):
        part.obs["type"] = part.obs["type"].astype(str).astype("category")
        part.obs[f"only in {number}"] = 1.0
        part.var["symbol"] = list("abcde")
        part.var[f"mean in {number}"] = 0.0
    return parts


def written(folder, parts):
    """Return the parts, each backed by a file."""
    for number, part in enumerate(parts):
        part.write_h5ad(folder / f"{number}.h5ad")
    return [anndata.read_h5ad(folder / f"{number}.h5ad", backed="r") for number in range(len(parts))]


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


@pytest.mark.parametrize("backed", [True, False], ids=["backed", "in memory"])
@pytest.mark.parametrize("matrix", [sp.csr_matrix, np.array], ids=["CSR", "dense"])
def test_cells_equal_those_that_are_concatenated(tmp_path, matrix, backed):
    parts = parts_of(matrix)
    expected = anndata.concat(parts, merge="same", uns_merge="same")
    read = as_collection(written(tmp_path, parts) if backed else parts)
    assert read.reads_ahead == backed
    assert len(read) == N_ROWS
    rng = np.random.default_rng(0)
    for size in (1, 5, 80, 0):
        rows = rng.integers(0, N_ROWS, size)
        found = read.read(rows)
        assert type(found) is anndata.AnnData
        assert type(found.X) is type(expected.X)
        assert found.X.dtype == expected.X.dtype
        assert np.array_equal(dense(found.X), X[rows])
        assert found.obs.equals(expected.obs.iloc[rows])
        assert found.obs["type"].cat.categories.tolist() == expected.obs["type"].cat.categories.tolist()
        assert found.var.equals(expected.var)
        assert found.uns == {"species": "human"}
        assert np.array_equal(found.obsm["pca"], X[rows, 1:3])
        assert np.array_equal(dense(found.layers["counts"]), X[rows] * 2)


def test_batches_of_many_files_have_the_categories_of_all(tmp_path):
    for batch in scDataset(written(tmp_path, parts_of()), Streaming(), 2):
        assert sorted(batch.obs["type"].cat.categories) == sorted(set(TYPES))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_strategies_count_cells(tmp_path, num_workers):
    files = written(tmp_path, parts_of())
    dataset = scDataset(files, BlockShuffling(2), 4, 3, seed=0)
    assert dataset.collection is files
    assert len(dataset) == 10
    seen = [batch.obs["id"].tolist() for batch in DataLoader(dataset, batch_size=None, num_workers=num_workers)]
    assert np.array_equal(np.sort(np.concatenate(seen)), IDS)
    drawn = scDataset(tuple(files), BlockWeightedSampling(2, weights=IDS, total_size=60), 30, seed=0)
    assert all(0 not in batch.obs["id"].to_numpy() for batch in drawn)
    assert sum(len(batch) for batch in scDataset(files, ClassBalancedSampling(TYPES, total_size=60), 30, seed=0)) == 60


class FirstThird(SamplingStrategy):
    def get_indices(self, data_collection, seed=None, rng=None):
        return np.arange(len(data_collection) // 3)


def test_a_strategy_of_the_users_own_sees_as_many_rows_as_there_are_cells():
    assert [batch.obs["id"].tolist() for batch in scDataset(parts_of(), FirstThird(), 12)] == [list(range(12))]


def test_windows_read_in_the_background_are_those_read_when_asked(tmp_path):
    files = written(tmp_path, parts_of())
    ahead, asked = (scDataset(files, BlockShuffling(2), 3, 2, seed=0, prefetch=prefetch) for prefetch in (2, 0))
    for early, late in zip(ahead, asked, strict=True):
        assert early.obs.equals(late.obs)
        assert np.array_equal(dense(early.X), X[early.obs["id"]])
        assert np.array_equal(dense(late.X), X[late.obs["id"]])


@pytest.mark.parametrize("backed", [True, False], ids=["backed", "in memory"])
def test_values_are_of_the_type_that_holds_those_of_all(tmp_path, backed):
    parts = parts_of()
    parts[2].X = parts[2].X.astype(np.float64)
    read = as_collection(written(tmp_path, parts) if backed else parts)
    assert [read.read(np.array(rows)).X.dtype for rows in ([0, 1], [30], [3, 30])] == [np.float64] * 3


def test_files_without_x_give_cells_without_x(tmp_path):
    parts = [anndata.AnnData(obs=part.obs, var=part.var) for part in parts_of()]
    batch = next(iter(scDataset(written(tmp_path, parts), Streaming(), 20)))
    assert batch.X is None
    assert batch.obs["id"].tolist() == list(range(20))


def test_other_genes_are_refused_with_what_joins_them():
    parts = parts_of()
    parts[1] = among_others(parts[1], "0a1234")
    message = r"list of 3 AnnData, and 1 of them.*number 1 has 6 against 5, 5 in both.*join_vars=\"inner\""
    with pytest.raises(CollectionError, match=message):
        scDataset(parts, Streaming(), 4)
    parts[1] = parts[0][:, ::-1].copy()
    with pytest.raises(CollectionError, match="another order"):
        scDataset(tuple(parts), Streaming(), 4)


def test_matrices_of_different_kinds_and_views_of_files_are_refused(tmp_path):
    for other in (cells(np.array), anndata.AnnData(obs=cells(np.array).obs, var=cells(np.array).var)):
        with pytest.raises(CollectionError, match=r"X is sparse in number 0 and (dense|missing) in number 1"):
            as_collection([cells(sp.csr_matrix), other])
    files = written(tmp_path, parts_of())
    with pytest.raises(CollectionError, match=r"view of 3 cells.*view\.to_memory\(\)"):
        as_collection([files[0], files[2][:3]])


def test_a_list_that_has_grown_is_refused():
    parts = parts_of()
    dataset = scDataset(parts, Streaming(), 4)
    parts.append(parts[0])
    with pytest.raises(CollectionChangedError, match="48 rows and had 37"):
        iter(dataset)


def test_with_a_fetch_callback_rows_are_the_entries_of_the_list():
    parts = parts_of()
    dataset = scDataset(parts, Streaming(), 2, fetch_callback=lambda data, rows: [len(data[row]) for row in rows])
    assert list(dataset) == [[11, 1], [25]]


def test_a_list_of_other_things_stays_a_list():
    parts = parts_of()
    assert as_collection([parts[0], "other"]).read(np.array([1])) == ["other"]
    assert as_collection([]).fingerprint() == "list:0"


def test_a_list_is_a_modality(tmp_path):
    data = MultiIndexable(rna=written(tmp_path, parts_of()), id=IDS)
    for batch in scDataset(data, BlockShuffling(2), 5, 2, seed=0):
        assert batch["rna"].obs["id"].tolist() == batch["id"].tolist()
        assert set(pd.unique(batch["rna"].obs["type"])) <= set(CELLS["type"])

"""A batch costs its own size once it leaves the loop: kept, saved, or sent from a worker."""

import io
import pickle
import sys
from functools import singledispatch
from pathlib import Path

import anndata
import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, MultiIndexable, Streaming, open_collection, scDataset

N, BATCH, FACTOR = 2048, 32, 32
X = np.random.default_rng(0).random((N, 64), dtype=np.float32)
ROW = X[0].nbytes
FRAME = pd.DataFrame(X, columns=[str(column) for column in range(64)])


def cells():
    adata = anndata.AnnData(sp.csr_matrix(X), obs=pd.DataFrame({"id": np.arange(N)}).rename(str))
    adata.obsm["pca"], adata.layers["dense"] = X.copy(), X.copy()
    return adata


class Box:
    """A container of a user's own, without a length."""

    def __init__(self, rows):
        self.rows = rows

    def __getitem__(self, positions):
        return self.rows[positions]


WINDOWS = {
    "array": lambda rows: rows,
    "tensor": torch.from_numpy,
    "csr": sp.csr_matrix,
    "csr array": sp.csr_array,
    "csc": sp.csc_matrix,
    "frame": lambda rows: pd.DataFrame(rows, columns=FRAME.columns),
    "series": lambda rows: pd.DataFrame(rows)[0],
    "polars": lambda rows: pl.DataFrame(rows, schema=list(FRAME.columns)),
    "arrow": lambda rows: pa.table(dict(zip(FRAME.columns, rows.T, strict=True))),
    "Hugging Face": lambda rows: datasets.Dataset.from_dict({"x": rows}).with_format("numpy"),
    "AnnData": lambda rows: cells()[: len(rows)].copy(),
    "dict": lambda rows: {"x": rows, "deep": {"y": torch.from_numpy(rows)}},
    "tuple": lambda rows: (rows, torch.from_numpy(rows)),
    "list of columns": lambda rows: [rows, sp.csr_matrix(rows)],
    "list of rows": lambda rows: rows[:, 0].tolist(),
    "MultiIndexable": lambda rows: MultiIndexable(x=rows, y=sp.csr_matrix(rows), z=torch.from_numpy(rows)),
    "own": Box,
}
COLLECTIONS = {
    "array": lambda: X,
    "tensor": lambda: torch.from_numpy(X),
    "csr": lambda: sp.csr_matrix(X),
    "frame": lambda: FRAME,
    "AnnData": cells,
    "MultiIndexable": lambda: MultiIndexable(x=X, y=sp.csr_matrix(X)),
    "list": X[:, 0].tolist,
}


@singledispatch
def held(value):
    """Return the bytes that ``value`` keeps from being freed."""
    return 0


@held.register(np.ndarray)
def _(value):
    while isinstance(value.base, np.ndarray):
        value = value.base
    return value.nbytes if value.base is None else value.size * value.itemsize


@held.register(list)
@held.register(tuple)
def _(value):
    return sum(map(held, value))


@held.register(dict)
@held.register(MultiIndexable)
def _(value):
    return sum(held(member) for _, member in value.items())


@held.register(pd.DataFrame)
def _(value):
    blocks = {id(column.base): column for column in (value[name].to_numpy() for name in value)}
    return sum(map(held, blocks.values())) + held(value.index.values)


@held.register(anndata.AnnData)
def _(value):
    assert not value.is_view
    return sum(map(held, (value.X, value.obs, *value.obsm.values(), *value.layers.values())))


for kind in (sp.csr_matrix, sp.csr_array, sp.csc_matrix):
    held.register(kind, lambda value: held(value.data) + held(value.indices) + held(value.indptr))
held.register(torch.Tensor, lambda value: value.untyped_storage().nbytes())
held.register(pd.Series, lambda value: held(value.to_numpy()) + held(value.index.values))
held.register(pa.Table, lambda value: value.get_total_buffer_size())


def saved(batch):
    file = io.BytesIO()
    torch.save(batch, file)
    return max(file.tell(), len(pickle.dumps(batch)))


@pytest.mark.parametrize("name", WINDOWS)
def test_a_batch_of_a_window_of_the_users_costs_its_own_size(name):
    dataset = scDataset(X, BlockShuffling(16), BATCH, FACTOR, fetch_transform=WINDOWS[name], seed=0)
    batch = next(iter(dataset))
    alone = saved(WINDOWS[name](X[:BATCH].copy()))
    assert held(batch) <= 8 * BATCH * ROW
    assert saved(batch) <= 1.2 * alone + 4096


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_batch_of_a_collection_in_memory_costs_its_own_size(name):
    batch = next(iter(scDataset(COLLECTIONS[name](), BlockShuffling(16), BATCH, FACTOR, seed=0)))
    assert held(batch) <= 8 * BATCH * ROW
    assert saved(batch) <= 8 * BATCH * ROW + 8192


@pytest.mark.parametrize("workers", [0, 1])
def test_cells_that_a_batch_transform_returns_are_no_view_of_others(workers):
    """It may be given a view, which costs a third of a copy."""
    dataset = scDataset(cells(), BlockShuffling(16), BATCH, FACTOR, seed=0, batch_transform=as_it_is)
    for batch in DataLoader(dataset, batch_size=None, num_workers=workers):
        assert not batch.is_view
        assert np.array_equal(batch.X.toarray(), X[batch.obs["id"]])
        assert saved(batch) <= 8 * BATCH * ROW + 8192
        break


def as_it_is(batch):
    return batch


def test_batches_of_cells_share_nothing_that_can_be_assigned():
    adata = cells()
    adata.uns["colors"] = {"a": 1}
    adata.var["name"] = "a"
    batches = iter(scDataset(adata, BlockShuffling(16), BATCH, FACTOR, seed=0))
    first, second = next(batches), next(batches)
    first.uns["more"], first.var["name"], first.obs["id"] = 1, "b", -1
    first.X.data[:] = first.obsm["pca"][:] = 0
    for other in (second, adata):
        assert list(other.uns) == ["colors"]
        assert (other.var["name"] == "a").all()
        assert np.array_equal(other.X.toarray(), X[other.obs["id"]])
        assert np.array_equal(other.obsm["pca"], X[other.obs["id"]])


def test_a_batch_from_a_worker_has_no_window_behind_it():
    """Defect: /dev/shm of 64 MB is full at once."""
    for transform in (None, torch.from_numpy, WINDOWS["dict"], WINDOWS["tuple"], WINDOWS["MultiIndexable"]):
        dataset = scDataset(X, BlockShuffling(16), BATCH, FACTOR, fetch_transform=transform, seed=0)
        for batch in DataLoader(dataset, batch_size=None, num_workers=1):
            assert held(batch) <= 8 * BATCH * ROW


WIDE = np.random.default_rng(1).random((N, 1024), dtype=np.float32)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Return files whose windows are memory that is used again: 4 MB and 8 MB."""
    folder = tmp_path_factory.mktemp("files")
    for name, matrix in (("dense", WIDE), ("sparse", sp.csr_matrix(WIDE))):
        obs = pd.DataFrame({"id": np.arange(N)}).rename(str)
        anndata.AnnData(matrix, obs=obs).write_h5ad(folder / f"{name}.h5ad")
    return folder


@pytest.mark.parametrize("name", ["dense", "sparse"])
@pytest.mark.parametrize("opened", ["engine", "backed"])
def test_a_batch_of_a_file_has_no_window_behind_it(paths, name, opened):
    path = paths / f"{name}.h5ad"
    data = open_collection(path, obs=["id"]) if opened == "engine" else anndata.read_h5ad(path, backed="r")
    dataset = scDataset(data, BlockShuffling(16), BATCH, FACTOR, seed=0, batch_transform=matrix_and_rows)
    loader = DataLoader(dataset, batch_size=None, num_workers=1)
    for batches in (dataset, loader):
        dataset.set_epoch(0)
        for matrix, rows in batches:
            assert held(matrix) <= 2.1 * BATCH * WIDE[0].nbytes
            assert np.array_equal(matrix.toarray() if name == "sparse" else matrix, WIDE[rows])


def matrix_and_rows(batch):
    if isinstance(batch, anndata.AnnData):
        return batch.X, batch.obs["id"].to_numpy(copy=True)
    return batch["X"], batch["id"]


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of the process is read from /proc")
def test_kept_batches_of_a_file_hold_no_windows(paths):
    """Twenty windows of 8 MB would be 160 MB."""
    dataset = scDataset(open_collection(paths / "sparse.h5ad"), Streaming(), BATCH, FACTOR)
    kept = [next(iter(dataset))["X"] for _ in range(2)]
    before = resident()
    for _ in range(10):
        kept += [batch["X"] for number, batch in enumerate(dataset) if number % FACTOR == 3]
    assert len(kept) == 22
    assert resident() - before < 60 << 20
    expected = WIDE[3 * BATCH : 4 * BATCH]
    assert all(np.array_equal(batch.toarray(), expected) for batch in kept[2::2])


def resident():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

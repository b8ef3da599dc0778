"""When X of a backed AnnData is read by the engine, and that it is the same X."""

import gc
import itertools

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from tests.examples import often

from scdataset import BlockShuffling, as_collection, scDataset
from scdataset.collections.adapters.backed_anndata import BackedMatrix
from scdataset.engine import buffers


def cells(form="csr"):
    X = scipy.sparse.random(50, 8, 0.4, format="csr", dtype=np.float32, random_state=0)  # noqa: N806
    obs = pd.DataFrame({"kind": pd.Categorical(["a", "b"] * 25)}, index=[f"cell {i}" for i in range(50)])
    return anndata.AnnData(X.toarray() if form == "dense" else X.asformat(form), obs=obs)


@pytest.mark.parametrize("form", ["csr", "dense"])
def test_the_engine_reads_what_anndata_reads(form, tmp_path):
    cells(form).write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    rows = np.array([49, 3, 3, 0, 20])
    assert BackedMatrix.from_anndata(backed) is not None
    read = as_collection(backed).read(rows)
    expected = cells(form)[rows]
    assert type(read.X) is type(backed[:2].to_memory().copy().X)
    assert np.array_equal(*(x.toarray() if scipy.sparse.issparse(x) else x for x in (read.X, expected.X)))
    assert read.obs["kind"].tolist() == expected.obs["kind"].tolist()


def test_anndata_itself_reads_what_may_change_and_what_has_raw(tmp_path):
    plain, with_raw = cells(), cells()
    with_raw.raw = with_raw.copy()
    plain.write_h5ad(tmp_path / "plain.h5ad")
    with_raw.write_h5ad(tmp_path / "raw.h5ad")
    cells("csc").write_h5ad(tmp_path / "csc.h5ad")
    writable = anndata.read_h5ad(tmp_path / "plain.h5ad", backed="r+")
    assert BackedMatrix.from_anndata(writable) is None
    writable.file.close()
    assert not as_collection(anndata.read_h5ad(tmp_path / "raw.h5ad", backed="r")).reads_ahead
    assert BackedMatrix.from_anndata(anndata.read_h5ad(tmp_path / "csc.h5ad", backed="r")) is None


def test_real_files_are_read_by_the_engine(real_data):
    assert BackedMatrix.from_anndata(anndata.read_h5ad(real_data("cells/merfish_mouse.h5ad"), backed="r")) is not None


def test_windows_read_in_the_background_are_those_read_when_asked(tmp_path):
    cells().write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    ahead, asked = (
        scDataset(backed, BlockShuffling(2), 3, 2, seed=0, prefetch=prefetch, batch_transform=lambda b: b)
        for prefetch in (2, 0)
    )
    for early, late in zip(ahead, asked, strict=True):
        assert early.obs_names.tolist() == late.obs_names.tolist()
        np.testing.assert_array_equal(early.X.toarray(), cells()[early.obs_names].X.toarray())
    assert as_collection(backed).reads_ahead


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize(
    ("n_files", "obsp"), often(itertools.product([1, 2], [False, True]), lambda n_files, obsp: obsp == (n_files == 1))
)
@pytest.mark.parametrize("transform", [None, lambda batch: batch.X.sum()], ids=["batches", "transformed"])
def test_memory_of_windows_comes_back_by_reference_counts_alone(n_files, obsp, transform, tmp_path, monkeypatch):
    n, path = 2048, tmp_path / "dense.h5ad"
    made = anndata.AnnData(np.ones((n, 600), np.float32))
    if obsp:
        made.obsp["near"] = scipy.sparse.eye(n, format="csr")
    made.write_h5ad(path)
    backed = [anndata.read_h5ad(path, backed="r") for _ in range(n_files)]
    dataset = scDataset(
        backed[0] if n_files == 1 else backed, BlockShuffling(8), 64, 8, seed=0, batch_transform=transform
    )
    fresh = []
    memory = buffers._Memory
    monkeypatch.setattr(buffers, "_Memory", lambda n_bytes: fresh.append(n_bytes) or memory(n_bytes))
    for _ in range(5):
        for batch in dataset:
            assert batch is not None
    assert 1 <= len(fresh) <= buffers._SPARE  # of 20 windows or more

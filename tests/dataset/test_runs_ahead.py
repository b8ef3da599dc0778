"""Transforms that say so are called where windows are read ahead; all others in the thread that asks for batches."""

import threading

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from scdataset import ArgumentValueError, BlockShuffling, open_collection, scDataset
from scdataset.transforms import Compose, Log1p, NormalizeTotal

X = sp.random(500, 30, 0.3, "csr", dtype=np.float32, random_state=0)


class Spy(Log1p):
    def __call__(self, value):
        threads.append(threading.current_thread())
        return super().__call__(value)


threads = []


@pytest.fixture
def cells(tmp_path):
    threads.clear()
    anndata.AnnData(X).write_h5ad(tmp_path / "cells.h5ad")
    with open_collection(tmp_path / "cells.h5ad") as collection:
        yield collection


def _read(dataset):
    return [batch["X"].toarray() for batch in dataset]


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_a_transform_that_runs_ahead_is_called_in_the_background_once_a_window(cells, prefetch):
    options = {"batch_size": 32, "fetch_factor": 4, "seed": 0, "prefetch": prefetch}
    plain = _read(scDataset(cells, BlockShuffling(4), **options))
    ahead = _read(scDataset(cells, BlockShuffling(4), fetch_transform=Compose(NormalizeTotal(1), Spy()), **options))
    assert len(threads) == 4
    assert (threading.main_thread() in threads) == (prefetch == 0)
    for batch, expected in zip(ahead, plain, strict=True):
        totals = np.maximum(expected.sum(1, keepdims=True), 1e-20)
        assert np.allclose(batch, np.log1p(expected / totals), rtol=1e-5)


def test_hooks_of_the_users_own_are_called_in_the_thread_that_asks(cells):
    def hook(window):
        threads.append(threading.current_thread())
        return window

    for transform in (hook, Compose(Log1p(), hook)):
        list(scDataset(cells, BlockShuffling(4), 32, fetch_transform=transform, seed=0))
    assert set(threads) == {threading.main_thread()}


def test_what_reads_the_users_own_objects_is_transformed_where_it_is_finished(tmp_path):
    threads.clear()
    anndata.AnnData(X).write_h5ad(tmp_path / "cells.h5ad")
    adata = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    list(scDataset(adata, BlockShuffling(4), 32, fetch_transform=Spy(), seed=0))
    assert set(threads) == {threading.main_thread()}


def test_an_error_of_a_transform_comes_to_the_one_who_asks(cells):
    dataset = scDataset(cells, BlockShuffling(4), 32, fetch_transform=NormalizeTotal(key="total_counts"), seed=0)
    with pytest.raises(ArgumentValueError, match="total_counts"):
        next(iter(dataset))

"""Transforms that say so are called where windows are read ahead; all others in the thread that asks for batches."""

import threading

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdataset import ArgumentTypeError, ArgumentValueError, BlockShuffling, open_collection, scDataset
from scdataset.transforms import Compose, Log1p, NormalizeTotal, ToTorch

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


class SpyOfTensors(ToTorch):
    def __call__(self, value):
        threads.append(threading.current_thread())
        shapes.append(value["X"].shape)
        return super().__call__(value)


shapes = []


@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_and_no_windows_become_dense_where_windows_are_transformed(cells, prefetch):
    shapes.clear()
    options = {"batch_size": 32, "fetch_factor": 4, "seed": 0, "prefetch": prefetch}
    counts = Compose(NormalizeTotal(1), Spy())
    apart = scDataset(cells, BlockShuffling(4), fetch_transform=counts, batch_transform=ToTorch(), **options)
    expected = [batch["X"] for batch in apart]
    threads.clear()
    together = scDataset(cells, BlockShuffling(4), fetch_transform=Compose(counts, SpyOfTensors()), **options)
    batches = [batch["X"] for batch in together]
    assert shapes == [(32, 30)] * 15 + [(20, 30)]
    assert len(threads) == 4 + 16
    assert (threading.main_thread() in threads) == (prefetch == 0)
    assert all(map(torch.equal, batches, expected))


def test_small_batches_become_dense_some_at_a_time_and_end_with_the_loop(cells):
    dataset = scDataset(cells, BlockShuffling(4), 2, fetch_factor=250, fetch_transform=SpyOfTensors(), seed=0)
    batches = iter(dataset)
    next(batches)
    batches.close()
    assert len(threads) in (128, 250)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scdataset-ahead")]


def test_a_batch_callback_gets_a_window_of_tensors(cells):
    shapes.clear()

    def take(fetched, positions):
        return fetched["X"][torch.from_numpy(positions)]

    transforms = {"fetch_transform": SpyOfTensors(), "batch_callback": take}
    dense = torch.cat(list(scDataset(cells, BlockShuffling(4), 32, fetch_factor=4, seed=0, **transforms)))
    assert shapes == [(128, 30)] * 3 + [(116, 30)]
    assert dense.sum().item() == pytest.approx(X.sum(), rel=1e-4)


def test_an_error_in_a_batch_comes_to_the_one_who_asks(cells):
    bad = Compose(ToTorch(), NormalizeTotal())
    with pytest.raises(ArgumentTypeError, match="tensors come last"):
        next(iter(scDataset(cells, BlockShuffling(4), 32, fetch_transform=bad, seed=0)))

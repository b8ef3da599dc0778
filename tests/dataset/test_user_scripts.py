"""What existing scripts do, written out: every use that scDataset 0.2 described, unchanged under this package."""

import numpy as np
import pytest
import scipy.sparse
import torch
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, BlockWeightedSampling, ClassBalancedSampling, MultiIndexable, Streaming, scDataset

N_CELLS = 1000
EXPRESSION = np.random.default_rng(0).poisson(1.0, (N_CELLS, 30)).astype(np.float32)
EXPRESSION[:, 0] = np.arange(N_CELLS)  # every batch tells which cells are in it


def cells_in(batches):
    return np.concatenate([np.asarray(batch)[:, 0].astype(int) for batch in batches])


def test_a_loader_leaves_batching_to_the_dataset():
    loader = DataLoader(scDataset(EXPRESSION, Streaming(), batch_size=64), batch_size=None)
    batches = list(loader)
    assert [tuple(batch.shape) for batch in batches] == [(64, 30)] * 15 + [(40, 30)]
    assert np.array_equal(torch.cat(batches), EXPRESSION)


def test_streaming_with_a_shuffle_buffer():
    cells = cells_in(scDataset(EXPRESSION, Streaming(shuffle=True), batch_size=64, fetch_factor=8, seed=0))
    assert not np.array_equal(cells[:512], np.arange(512))
    assert np.array_equal(np.sort(cells[:512]), np.arange(512))


@pytest.mark.parametrize("strategy", [Streaming, BlockShuffling])
def test_a_subset_of_cells_comes_once(strategy):
    train = list(range(0, N_CELLS, 2))
    dataset = scDataset(EXPRESSION, strategy(indices=train), batch_size=64)
    assert sorted(cells_in(dataset)) == train
    if strategy is Streaming:
        assert cells_in(dataset).tolist() == train


def test_blocks_with_and_without_a_subset():
    train = np.arange(100, 900)
    assert sorted(cells_in(scDataset(EXPRESSION, BlockShuffling(block_size=8), batch_size=64))) == list(range(N_CELLS))
    dataset = scDataset(EXPRESSION, BlockShuffling(block_size=8, indices=train), batch_size=64)
    assert sorted(cells_in(dataset)) == train.tolist()


def test_weighted_sampling_uniform_and_with_weights():
    uniform = scDataset(EXPRESSION, BlockWeightedSampling(total_size=10_000, block_size=16), batch_size=64)
    assert len(cells_in(uniform)) == 10_000
    weights = np.where(np.arange(N_CELLS) < 10, 50.0, 0.5)
    weighted = scDataset(EXPRESSION, BlockWeightedSampling(weights=weights, total_size=5000, block_size=16), 64, seed=0)
    assert np.mean(cells_in(weighted) < 10) == pytest.approx(500 / 995, abs=0.036)  # 5 standard deviations


def test_class_balance_from_a_list_of_cell_types():
    cell_types = ["T_cell"] * 700 + ["B_cell"] * 250 + ["NK_cell"] * 50
    dataset = scDataset(EXPRESSION, ClassBalancedSampling(cell_types, total_size=8000), batch_size=64, seed=0)
    found = np.bincount(np.digitize(cells_in(dataset), [700, 950]), minlength=3)
    assert found / 8000 == pytest.approx([1 / 3] * 3, abs=0.027)  # 5 standard deviations


def test_several_modalities_by_name():
    proteins, metadata = EXPRESSION[:, :5] * 2, np.arange(N_CELLS)[:, None]
    cells = MultiIndexable(genes=EXPRESSION, proteins=proteins, metadata=metadata)
    for batch in scDataset(cells, Streaming(), batch_size=64):
        rows = batch["metadata"][:, 0]
        assert np.array_equal(batch["genes"], EXPRESSION[rows])
        assert np.array_equal(batch["proteins"], proteins[rows])


def test_four_workers_with_the_recommended_prefetch_factor():
    dataset = scDataset(EXPRESSION, BlockShuffling(block_size=16), batch_size=64, fetch_factor=8)
    loader = DataLoader(dataset, batch_size=None, num_workers=4, prefetch_factor=9)
    assert len(loader) == 16
    assert sorted(cells_in(loader)) == list(range(N_CELLS))


def densify(window):
    return window.toarray() if hasattr(window, "toarray") else window


def to_tensor(batch):
    return torch.from_numpy(batch).float()


@pytest.mark.parametrize("num_workers", [0, 4])
def test_transforms_of_windows_and_batches(num_workers):
    dataset = scDataset(
        scipy.sparse.csr_matrix(EXPRESSION),
        Streaming(),
        batch_size=64,
        fetch_transform=densify,
        batch_transform=to_tensor,
    )
    batches = list(DataLoader(dataset, batch_size=None, num_workers=num_workers))
    assert torch.equal(torch.cat(batches), torch.from_numpy(EXPRESSION))


@pytest.mark.parametrize("num_workers", [0, 4])
def test_training_with_blocks_and_validation_with_streaming(num_workers):
    train_cells, val_cells = np.arange(0, 800), np.arange(800, 1000)
    loader_options = {"batch_size": None, "num_workers": num_workers}
    if num_workers:
        loader_options["prefetch_factor"] = 9
    train = scDataset(EXPRESSION, BlockShuffling(block_size=32, indices=train_cells), batch_size=64, fetch_factor=8)
    val = scDataset(EXPRESSION, Streaming(indices=val_cells), batch_size=64, fetch_factor=8)
    train_loader, val_loader = DataLoader(train, **loader_options), DataLoader(val, **loader_options)
    orders = []
    for _ in range(2):
        orders.append(cells_in(train_loader))
        assert np.array_equal(cells_in(val_loader), val_cells)
    assert all(np.array_equal(np.sort(order), train_cells) for order in orders)
    assert not np.array_equal(*orders)


def test_imports_that_scripts_have():
    from scdataset.multiindexable import MultiIndexable as Container
    from scdataset.strategy import SamplingStrategy
    from scdataset.strategy import Streaming as Sequential
    from scdataset.transforms import adata_to_mindex

    assert (Container, Sequential) == (MultiIndexable, Streaming)
    assert issubclass(Sequential, SamplingStrategy)
    assert callable(adata_to_mindex)

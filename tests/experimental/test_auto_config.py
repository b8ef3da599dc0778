"""Suggested parameters: the form that 0.3 had, within memory, for any collection."""

import inspect

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch.utils.data import DataLoader

from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    BlockShuffling,
    CollectionError,
    MultiIndexable,
    adata_to_mindex,
    scDataset,
)
from scdataset.experimental import auto_config, estimate_sample_size, suggest_parameters

SAMPLES = {
    "array": (np.zeros((100, 50)), 400),
    "tensor": (torch.zeros(100, 50), 200),
    "CSR": (scipy.sparse.csr_matrix(np.ones((160, 10), "f4")), 85),  # 8 bytes a value, and a pointer
    "modalities": (MultiIndexable(x=np.zeros((100, 5)), y=np.zeros(100, "i4")), 44),
    "strings": (list("abcd"), 1),
    "nothing": (np.zeros((0, 5)), 0),
    "fewer rows than samples": (np.zeros((3, 5)), 40),
    "AnnData": (anndata.AnnData(np.zeros((32, 25), "f4"), layers={"raw": np.zeros((32, 25), "f4")}), 200),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_size_of_a_row_is_that_of_its_values(name):
    collection, expected = SAMPLES[name]
    found = estimate_sample_size(collection)
    assert type(found) is int
    assert expected <= found <= expected * 1.2 + 20 * (name == "AnnData")


def test_frames_and_objects_are_counted_in_depth():
    assert estimate_sample_size(pd.DataFrame({"x": np.zeros(64), "name": ["a" * 100] * 64})) > 108
    assert estimate_sample_size(np.array(["a" * 50, "b" * 70] * 8, object)) in range(8, 100)


def test_a_row_is_measured_where_it_is_largest_on_its_way_through_the_hooks():
    sparse = scipy.sparse.csr_matrix((64, 1000), dtype="f4")
    assert estimate_sample_size(sparse, batch_transform=lambda batch: batch.toarray()) == 4000
    assert estimate_sample_size(sparse, fetch_transform=lambda fetched: fetched.toarray()) == 4000
    cells = anndata.AnnData(np.zeros((40, 10), "f4"), obs={"t": np.arange(40.0)})
    assert estimate_sample_size(cells, fetch_transform=lambda c: adata_to_mindex(c, ["t"]), n_samples=4) >= 48

    class Remote:
        def __len__(self):
            return 30

    assert estimate_sample_size(Remote(), fetch_callback=lambda _, rows: np.zeros((len(rows), 4))) == 32


def test_the_suggestions_have_the_names_that_scripts_read_and_train():
    data = np.zeros((500, 20), "f4")
    params = suggest_parameters(data, batch_size=10, verbose=False)
    factor = params["fetch_factor"]
    blocks = [params[f"block_size_{name}"] for name in ("conservative", "balanced", "aggressive")]
    assert blocks == [factor // 2, factor, 2 * factor]
    assert params["prefetch_factor"] == factor + 1
    assert params["estimated_memory_per_fetch_mb"] == 10 * factor * 80 / 2**20
    assert params["estimated_total_memory_mb"] > params["estimated_memory_per_fetch_mb"]
    assert set(params["system_info"]) == {
        "available_ram_gb",
        "total_ram_gb",
        "cpu_count",
        "estimated_sample_size_bytes",
    }
    dataset = scDataset(data, BlockShuffling(params["block_size_balanced"]), 10, fetch_factor=factor)
    alone = suggest_parameters(data, 10, max_workers=0, verbose=False)
    assert (alone["num_workers"], alone["prefetch_factor"]) == (0, None)
    loader = DataLoader(dataset, None, num_workers=alone["num_workers"], prefetch_factor=alone["prefetch_factor"])
    assert len(list(loader)) == 50


def test_windows_fit_into_the_part_of_memory_that_may_be_used(monkeypatch):
    monkeypatch.setattr(auto_config, "available_memory", lambda: (2**30, 2**32))
    wide = np.broadcast_to(np.zeros(1), (1000, 10_000))
    params = suggest_parameters(wide, 64, target_ram_fraction=0.5, max_workers=1, verbose=False)
    assert 0.4 * 1024 < params["estimated_total_memory_mb"] <= 0.5 * 1024
    assert params["system_info"]["total_ram_gb"] == 4
    assert suggest_parameters(wide, 64, target_ram_fraction=0, verbose=False)["fetch_factor"] == 1


def test_an_unknown_amount_of_memory_is_said(monkeypatch):
    monkeypatch.setattr(auto_config, "available_memory", lambda: None)
    with pytest.warns(UserWarning, match="8 GiB"):
        assert suggest_parameters(np.zeros(9), 2, verbose=False)["system_info"]["available_ram_gb"] == 8


def test_the_suggestions_are_printed_unless_asked_otherwise(capsys):
    suggest_parameters(np.zeros(9), 2, verbose=0)
    assert not capsys.readouterr().out
    suggest_parameters(np.zeros(9), 2)
    assert "fetch_factor=256" in capsys.readouterr().out


def test_arguments_have_the_names_and_order_of_version_0_3():
    hooks = ["fetch_callback", "fetch_transform", "batch_callback", "batch_transform"]
    names = ["data_collection", "batch_size", "target_ram_fraction", "max_workers", "min_workers", "verbose", *hooks]
    assert list(inspect.signature(suggest_parameters).parameters) == names
    assert list(inspect.signature(estimate_sample_size).parameters) == ["data_collection", "n_samples", *hooks]


def test_wrong_arguments_are_refused():
    with pytest.raises(ArgumentValueError, match="batch_size=0"):
        suggest_parameters(np.zeros(9), 0)
    with pytest.raises(ArgumentValueError, match=r"target_ram_fraction=-0\.1"):
        suggest_parameters(np.zeros(9), 2, target_ram_fraction=-0.1)
    with pytest.raises(ArgumentTypeError, match=r"n_samples=2\.5"):
        estimate_sample_size(np.zeros(9), n_samples=2.5)
    with pytest.raises(CollectionError):
        estimate_sample_size(3)

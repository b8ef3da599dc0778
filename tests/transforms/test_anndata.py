"""adata_to_mindex: cells to a container of dense arrays."""

import pickle
import warnings
from functools import partial

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata.experimental import AnnCollection
from torch.utils.data import DataLoader

from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    BlockShuffling,
    BlockWeightedSampling,
    MultiIndexable,
    scDataset,
)
from scdataset.transforms import adata_to_mindex

N = 20
X = np.arange(N * 4, dtype=np.float32).reshape(N, 4) % 7
NAMES = [f"cell {row}" for row in range(N)]
COLUMNS = ["type", "donor", "depth", "kept"]


def cells(matrix):
    obs = pd.DataFrame(
        {
            "type": pd.Categorical(["B", "T"] * (N // 2), categories=["T", "B", "none of it"]),
            "donor": [f"donor {row % 3}" for row in range(N)],
            "depth": np.arange(N, dtype=np.float32),
            "kept": pd.array([True, None] * (N // 2), dtype="boolean"),
        },
        index=NAMES,
    )
    return anndata.AnnData(matrix, obs=obs)


@pytest.fixture(params=["memory", "view", "backed", "collection", "collection of backed"])
def source(request, tmp_path):
    """Return a function from a matrix to cells, or to what reading an AnnCollection gives."""

    def make(matrix):
        adata = cells(matrix)
        adata.write_h5ad(tmp_path / "cells.h5ad")
        backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
        made = {
            "memory": lambda: adata,
            "view": lambda: adata[NAMES],
            "backed": lambda: backed,
            "collection": lambda: AnnCollection([adata[:7], adata[7:]])[:],
            "collection of backed": lambda: AnnCollection([backed])[:],
        }
        return made[request.param]()

    return make


@pytest.mark.parametrize("kind", [np.array, sp.csr_matrix, sp.csc_matrix])
def test_x_is_dense_in_the_dtype_it_is_stored_in(source, kind):
    batch = adata_to_mindex(source(kind(X)))
    assert type(batch) is MultiIndexable
    assert batch.names == ["X"]
    assert type(batch["X"]) is np.ndarray
    assert batch["X"].dtype == np.float32
    assert np.array_equal(batch["X"], X)


def test_columns_keep_their_types(source):
    batch = adata_to_mindex(source(sp.csr_matrix(X)), COLUMNS)
    assert batch.names == ["X", *COLUMNS]
    assert isinstance(batch["type"], pd.Categorical)
    assert batch["type"].tolist() == ["B", "T"] * (N // 2)
    assert list(batch["donor"]) == [f"donor {row % 3}" for row in range(N)]
    assert batch["depth"].dtype == np.float32
    assert batch["depth"].tolist() == list(range(N))
    assert batch["kept"].dtype == "boolean"


def test_a_missing_column_is_answered_with_those_there_are(source):
    with pytest.raises(KeyError, match=r"no column 'age'; it has \['type', 'donor', 'depth', 'kept'\]"):
        adata_to_mindex(source(X), ["type", "age"])


class OfTheUser:
    """Cells of a class of the user's own."""

    def __init__(self, obs):
        self.X, self.obs = sp.csr_matrix(X), obs


class Columns:
    """An obs that gives columns and nothing else."""

    def __getitem__(self, name):
        return {"depth": np.arange(N)}[name]


@pytest.mark.parametrize("obs", [{"depth": np.arange(N)}, {"depth": pd.Series(range(N))}, Columns()])
def test_cells_are_anything_whose_obs_gives_columns(obs):
    batch = adata_to_mindex(OfTheUser(obs), ["depth"])
    assert type(batch["depth"]) is np.ndarray
    assert batch["depth"].tolist() == list(range(N))
    assert np.array_equal(batch["X"], X)
    with pytest.raises(KeyError, match="no column 'age'"):
        adata_to_mindex(OfTheUser(obs), ["age"])


def test_columns_have_to_be_a_list_of_other_names_than_x():
    with pytest.raises(ArgumentTypeError, match=r"columns='type' is a string; give a list of names, \['type'\]"):
        adata_to_mindex(cells(X), "type")
    with pytest.raises(ArgumentValueError, match="rename that column"):
        adata_to_mindex(cells(X), ["X"])


def test_cells_without_x_are_refused(tmp_path):
    adata = cells(None)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    for source in (adata, anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")):
        with pytest.raises(ArgumentValueError, match="no X"):
            adata_to_mindex(source)


@pytest.mark.parametrize("transform", ["fetch_transform", "batch_transform"])
@pytest.mark.parametrize("collected", [False, True])
def test_it_is_a_transform_of_fetches_and_of_batches_with_cells_drawn_twice(transform, collected):
    adata = cells(sp.csr_matrix(X))
    data = AnnCollection([adata[:7], adata[7:]]) if collected else adata
    hook = {transform: partial(adata_to_mindex, columns=["depth", "type"])}
    dataset = scDataset(data, BlockWeightedSampling(2, total_size=60), 7, 2, seed=0, **hook)
    rows = np.concatenate([batch["depth"] for batch in dataset]).astype(int)
    assert len(rows) == 60
    dataset.set_epoch(0)
    assert np.array_equal(np.vstack([batch["X"] for batch in dataset]), X[rows])


def test_codes_of_a_category_mean_the_same_in_every_batch():
    dataset = scDataset(
        cells(X), BlockShuffling(1), 2, 1, seed=0, fetch_transform=partial(adata_to_mindex, columns=["type"])
    )
    for batch in dataset:
        assert batch["type"].categories.tolist() == ["T", "B", "none of it"]


def test_a_partial_of_it_goes_to_workers():
    hook = partial(adata_to_mindex, columns=["depth"])
    assert pickle.loads(pickle.dumps(hook)).keywords == {"columns": ["depth"]}
    dataset = scDataset(cells(sp.csr_matrix(X)), BlockShuffling(2), 4, 2, seed=0, fetch_transform=hook)
    batches = list(DataLoader(dataset, batch_size=None, num_workers=2))
    assert sorted(np.concatenate([batch["depth"] for batch in batches])) == list(range(N))


def test_no_settings_or_warnings_of_others_are_changed():
    filters = list(warnings.filters)
    list(scDataset(cells(X), BlockShuffling(2), 4, 2, seed=0, fetch_transform=adata_to_mindex))
    assert warnings.filters == filters
    assert anndata.settings.remove_unused_categories is True

"""The 37 rows that every container holds, and what any batch of them looks like as plain arrays."""

from collections.abc import Mapping
from functools import singledispatch

import anndata
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse
import torch

from scdataset import MultiIndexable
from scdataset.collections.rows import RowList

N_ROWS = 37

_rng = np.random.default_rng(37)
IDS = np.arange(N_ROWS)
X = np.where(_rng.random((N_ROWS, 5)) < 0.5, 0, _rng.normal(size=(N_ROWS, 5))).astype(np.float32)
X[:, 0] = IDS / 3
LABELS = np.array([f"cell {row}" for row in IDS])
TYPES = np.array(["B", "T", "NK"])[_rng.integers(0, 3, N_ROWS)]
CUBE = _rng.permutation(np.arange(N_ROWS * 6, dtype=np.uint16)).reshape(N_ROWS, 2, 3)
RAGGED = [[int(row)] * (row % 4) for row in IDS]


def objects(values):
    """Return a sequence as a one-dimensional array of objects, strings and lists among them."""
    array = np.empty(len(values), object)
    array[:] = [value if isinstance(value, (str, bytes)) else np.asarray(value).tolist() for value in values]
    return array


@singledispatch
def plain(value):
    """Return a column of a batch as a numpy array."""
    return np.asarray(value)


plain.register(torch.Tensor, lambda value: value.numpy())
plain.register(pl.Series, lambda value: objects(value.to_list()) if value.dtype == pl.List else value.to_numpy())
plain.register(scipy.sparse.spmatrix, lambda value: value.toarray())
plain.register(scipy.sparse.sparray, lambda value: value.toarray())


@plain.register(pa.Array)
@plain.register(pa.ChunkedArray)
def _(value):
    nested = pa.types.is_list(value.type) or pa.types.is_string(value.type)
    return objects(value.to_pylist()) if nested else np.asarray(value.to_numpy())


@plain.register(list)
@plain.register(tuple)
def _(value):
    return objects(value) if isinstance(value[0], (str, list, torch.Tensor)) else np.array(value)


@singledispatch
def columns(batch):
    """Return a batch as a dict of plain arrays; a single array is the column with no name."""
    return columns(batch.to_adata()) if hasattr(batch, "to_adata") else {"": plain(batch)}


@columns.register(Mapping)
@columns.register(MultiIndexable)
def _(batch):
    return {f"{name} {inner}".strip(): a for name, part in batch.items() for inner, a in columns(part).items()}


@columns.register(list)
@columns.register(tuple)
def _(batch):
    return {"": plain(batch)} if isinstance(batch, RowList) else columns({str(k): v for k, v in enumerate(batch)})


@columns.register(pa.Table)
@columns.register(pa.RecordBatch)
def _(batch):
    return {name: plain(batch[name]) for name in batch.schema.names}


columns.register(pl.DataFrame, lambda batch: {name: plain(batch[name]) for name in batch.columns})
columns.register(pd.DataFrame, lambda batch: {name: plain(batch[name]) for name in batch.columns})


@columns.register(anndata.AnnData)
def _(batch):
    obs = {name: batch.obs[name] for name in batch.obs} | {"codes": batch.obs["type"].cat.codes}
    aligned = {"X": batch.X, "layer": batch.layers["counts"], "obsm": batch.obsm["pca"], "names": batch.obs_names}
    return {name: plain(array) for name, array in (aligned | obs).items()}


def same(found, expected):
    """Return whether two arrays are alike bit for bit, dtype and shape included."""
    if expected.dtype == object:
        return objects(found).tolist() == expected.tolist()
    return found.dtype == expected.dtype and found.shape == expected.shape and found.tobytes() == expected.tobytes()

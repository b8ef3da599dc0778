"""Containers over the reference: the registry, and those that are in memory."""

from collections import namedtuple
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch
from tests.collections.reference import CUBE, IDS, LABELS, N_ROWS, RAGGED, TYPES, X, columns, objects, same
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from scdataset import Streaming, scDataset

BUILDERS = {}


@dataclass
class Container:
    """A container over the reference.

    Attributes
    ----------
    data
        The container.
    expected
        All rows as plain arrays, by column; the rows of the first one differ.
    warning
        What a user is warned of who makes a dataset of it.
    """

    name: str
    data: Any
    expected: dict[str, np.ndarray]
    warning: str | None = None

    def dataset(self, strategy=None, batch_size=4, fetch_factor=3, **options):
        """Return a dataset of it."""
        expects_warning = pytest.warns(UserWarning, match=self.warning) if self.warning else nullcontext()
        with expects_warning:
            return scDataset(self.data, strategy or Streaming(), batch_size, fetch_factor, seed=4, **options)

    def collection(self):
        """Return what a dataset of it reads from."""
        return self.dataset()._collection

    def rows(self, batch):
        """Return the row numbers of a batch, after comparing all that is in it with the reference."""
        found = columns(batch)
        assert found.keys() == self.expected.keys()
        first = next(iter(self.expected))
        row_of = {_key(entry): row for row, entry in enumerate(self.expected[first])}
        assert len(row_of) == N_ROWS
        rows = np.array([row_of[_key(entry)] for entry in found[first]], np.int64)
        for name, values in found.items():
            assert same(values, self.expected[name][rows]), name
        return rows.tolist()


class Builder:
    """Builds containers below a folder, each once."""

    def __init__(self, folder):
        self.folder = folder
        self.done = {}

    def __call__(self, name):
        if name not in self.done:
            folder = self.folder / name.replace(" ", "_")
            folder.mkdir()
            self.done[name] = Container(name, *BUILDERS[name](folder, self))
        return self.done[name]


def _key(entry):
    return entry.tobytes() if isinstance(entry, np.ndarray) else str(entry)


def on_disk(name):
    """Register a function from a folder and the builder to a container, what is expected of it, and a warning."""
    return lambda build: BUILDERS.setdefault(name, build)


def in_memory(name, expected, make, *parameters, warning=None):
    """Register the container that ``make`` returns."""
    BUILDERS[name] = lambda folder, built: (make(*parameters), expected, warning)


STRUCTURED = np.zeros(N_ROWS, [("id", "i8"), ("x", "f4", 2), ("label", "U7")])
STRUCTURED["id"], STRUCTURED["x"], STRUCTURED["label"] = IDS, X[:, 1:3], LABELS
ARRAYS = {
    "1-D": IDS,
    "2-D": X,
    "3-D": CUBE,
    "structured": STRUCTURED,
    "strings": LABELS,
    "objects": objects(LABELS),
    "half precision": X.astype(np.float16),
    "big endian": X.astype(">f8"),
    "Fortran order": np.asfortranarray(X),
}
for name, array in ARRAYS.items():
    in_memory(f"numpy {name}", {"": array}, lambda array: array, array)
in_memory("torch 1-D", {"": IDS}, torch.from_numpy, IDS)
in_memory("torch 2-D", {"": X}, torch.from_numpy, X)
in_memory("torch gradient", {"": X}, lambda: torch.from_numpy(X).clone().requires_grad_())
in_memory("list", {"": objects(LABELS)}, LABELS.tolist)
in_memory("range", {"": 5 + 3 * IDS}, range, 5, 5 + 3 * N_ROWS, 3)

for kind in (sp.csr_matrix, sp.csr_array, sp.lil_matrix, sp.lil_array):
    in_memory(f"scipy {kind.__name__}", {"": X}, kind, X)
in_memory("scipy csr_array 1-D", {"": X[:, 0]}, sp.csr_array, X[:, 0])
for kind in (sp.csc_matrix, sp.csc_array):
    in_memory(f"scipy {kind.__name__}", {"": X}, kind, X, warning="sparse by columns")

TABLE = {"id": IDS, "x": X[:, 1], "label": objects(LABELS)}
LISTS = {name: values.tolist() for name, values in TABLE.items()} | {"x": X[:, 1]}
FRAME = pd.DataFrame(TABLE | {"type": pd.Categorical(TYPES)}, index=pd.Index(LABELS, name="cell"))
in_memory("pandas frame", TABLE | {"type": objects(TYPES)}, FRAME.copy)
in_memory("pandas series", {"": IDS / 3}, lambda: pd.Series(IDS / 3, index=LABELS))
in_memory("pandas categorical", {"": objects(LABELS)}, pd.Categorical, LABELS)
in_memory("pandas index", {"": objects(LABELS)}, pd.Index, LABELS)
in_memory("pandas nullable", {"": IDS.astype(object)}, lambda: pd.array(IDS, dtype="Int64"))
in_memory("polars frame", TABLE, pl.DataFrame, LISTS)
in_memory("polars series", {"": objects(LABELS)}, pl.Series, "label", LABELS.tolist())
in_memory("arrow table", TABLE, pa.table, LISTS)
in_memory("arrow batch", TABLE, lambda: pa.table(LISTS).to_batches()[0])
in_memory("arrow array", {"": IDS}, pa.array, IDS)
in_memory("arrow chunks", {"": objects(LABELS)}, lambda: pa.chunked_array([LABELS[:9].tolist(), LABELS[9:].tolist()]))

FEATURES = datasets.Features(
    id=datasets.Value("int64"),
    X=datasets.List(datasets.Value("float32"), length=5),
    label=datasets.Value("string"),
    ragged=datasets.List(datasets.Value("int64")),
)
ROWS = {"id": IDS, "X": X, "label": objects(LABELS), "ragged": objects(RAGGED)}
NESTED = ROWS | {"X": objects(X)}


def hugging_face(form):
    """Return the reference as a Hugging Face dataset in some format."""
    return datasets.Dataset.from_dict(ROWS | {"ragged": RAGGED}, FEATURES).with_format(form)


for form, has_arrays in {None: 0, "numpy": 1, "torch": 1, "pandas": 0, "arrow": 0, "polars": 1}.items():
    in_memory(f"datasets {form}", ROWS if has_arrays else NESTED, hugging_face, form)
in_memory("datasets column", {"": objects(X)}, lambda: hugging_face(None)["X"])
in_memory("datasets column torch", {"": X}, lambda: hugging_face("torch")["X"])

Sample = namedtuple("Sample", "x label")  # noqa: PYI024 as users write them


class Samples(Dataset):
    """A map-style dataset that makes each sample with a function."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return N_ROWS

    def __getitem__(self, row):
        assert isinstance(row, int)
        return self.make(row)


class Together(Samples):
    """One that reads several samples at once."""

    def __getitem__(self, row):
        raise AssertionError

    def __getitems__(self, rows):
        return [self.make(row) for row in rows]


def sample_tuple(row):
    return X[row], LABELS.item(row)


def sample_dict(row):
    return {"id": row, "X": torch.from_numpy(X[row]), "label": LABELS.item(row)}


def sample_named(row):
    return Sample(X[row], LABELS.item(row))


PAIRS = {"0": X, "1": objects(LABELS)}


def tensors():
    """Return a dataset of tensors of its own: those that share memory cannot go to one spawned process together."""
    return TensorDataset(torch.tensor(X), torch.tensor(IDS))


in_memory("map-style tuples", PAIRS, Samples, sample_tuple)
in_memory("map-style named tuples", PAIRS, Samples, sample_named)
in_memory("map-style dicts", {"id": IDS, "X": X, "label": objects(LABELS)}, Samples, sample_dict)
in_memory("map-style read together", PAIRS, Together, sample_tuple)
in_memory("map-style TensorDataset", {"0": X, "1": IDS}, tensors)
in_memory("map-style Subset", {"0": X[::-1], "1": IDS[::-1]}, lambda: Subset(tensors(), range(N_ROWS)[::-1]))
in_memory(
    "map-style ConcatDataset",
    {"0": X, "1": IDS},
    lambda: ConcatDataset([Subset(tensors(), range(10)), Subset(tensors(), range(10, N_ROWS))]),
)

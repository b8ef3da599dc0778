"""What is no collection, or cannot be read, is answered with what to give instead."""

import re

import anndata
import datasets
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
import zarr
from tests.collections.files import h5py_dataset
from tests.collections.reference import IDS, N_ROWS, X
from torch.utils.data import Dataset, IterableDataset

from scdataset import BlockShuffling, CollectionError, MultiIndexable, Streaming, as_collection, scDataset


class Endless(IterableDataset):
    def __iter__(self):
        return iter(IDS)


def rows_without_number(_):
    yield from IDS


FACES = datasets.Dataset.from_dict({"id": IDS})
REFUSED = {
    "a dict": ({"x": X}, r"dict of 1 entry.*MultiIndexable\(data\)"),
    "a dict of lists": ({"a": [1], "b": [2]}, r"list\(data\.values\(\)\)"),
    "a list of collections": ([as_collection(X), as_collection(X)], r"list of 2 collections.*open_collection\(paths\)"),
    "a tuple": ((X, IDS), r"tuple of 2 entries.*MultiIndexable\(\*data\)"),
    "a set": ({1, 2}, "no __getitem__"),
    "a number": (3, "no __len__ and no __getitem__"),
    "nothing": (None, "no __len__"),
    "a generator": (rows_without_number(0), "no __len__"),
    "a string": ("cells.h5ad", "a str, which has no rows.*open_collection"),
    "bytes": (b"cells", "a bytes, which has no rows"),
    "an array without axes": (np.array(1.0), "no axis"),
    "a tensor without axes": (torch.tensor(1.0), "no axis"),
    "a sparse tensor": (torch.tensor(X).to_sparse(), r"sparse_coo.*tensor\.to_dense\(\)"),
    "COO": (sp.coo_matrix(X), r"'coo' format.*data\.tocsr\(\)"),
    "COO array": (sp.coo_array(X), r"'coo' format.*data\.tocsr\(\)"),
    "DOK": (sp.dok_array(X), r"'dok' format.*data\.tocsr\(\)"),
    "BSR": (sp.bsr_matrix(X), r"'bsr' format.*data\.tocsr\(\)"),
    "DIA": (sp.dia_array(X), r"'dia' format.*data\.tocsr\(\)"),
    "a lazy frame": (pl.LazyFrame({"id": IDS}), r"LazyFrame.*data\.collect\(\)"),
    "a dict of splits": (datasets.DatasetDict(train=FACES), r'DatasetDict.*split="train"'),
    "a streamed dataset": (FACES.to_iterable_dataset(), r'IterableDataset.*split="train"'),
    "a frame that was grouped": (
        pd.DataFrame({"id": IDS}).groupby("id"),
        r"DataFrameGroupBy of 37 groups.*labels=frame",
    ),
    "layers": (anndata.AnnData(X, layers={"a": X}).layers, r"Layers of 1 array \(a\)"),
    "raw": (anndata.Raw(anndata.AnnData(X)), r"adata\.raw\.to_adata\(\)"),
    "a class": (anndata.AnnData, "class AnnData; give an object"),
    "an iterable dataset": (Endless(), "Endless, an IterableDataset.*map-style"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_rows_to_choose_from_is_refused_at_construction(data, message):
    with pytest.raises(CollectionError, match=f"(?s)The collection is.*{message}"):
        scDataset(data, Streaming(), 4)
    with pytest.raises(CollectionError):
        MultiIndexable(x=data) if not isinstance(data, dict) else MultiIndexable(x=data, y=data)


def test_layers_become_modalities_as_their_message_says():
    data = anndata.AnnData(X, layers={"a": X, "b": X + 1}).layers
    advice = "MultiIndexable({name: data[name] for name in ['a', 'b']})."
    with pytest.raises(CollectionError, match=re.escape(advice)):
        as_collection(data)
    modalities = MultiIndexable({name: data[name] for name in ["a", "b"]})
    assert np.array_equal(modalities[[2, 0]]["b"], X[[2, 0]] + 1)


def test_groups_and_scalars_of_files_are_refused(tmp_path):
    file = h5py_dataset(tmp_path, X, {}).file
    group = zarr.create_group(zarr.storage.MemoryStore())
    for data in (file, file["group"], group, group.create_array("x", data=np.array(1.0))):
        with pytest.raises(CollectionError, match=r"has no rows\. Give a"):
            as_collection(data)
    with h5py.File(tmp_path / "scalar.h5", "w") as other:
        other["scalar"], other["empty"] = 3, h5py.Empty("f4")
        for name in other:
            with pytest.raises(CollectionError, match="at least one axis"):
                as_collection(other[name])


def test_a_file_of_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=X, b=IDS)
    with (
        np.load(tmp_path / "x.npz") as arrays,
        pytest.raises(CollectionError, match=r"2 arrays \(a, b\).*MultiIndexable"),
    ):
        as_collection(arrays)


def test_a_closed_file_is_refused(tmp_path):
    dataset = h5py_dataset(tmp_path, X, {})
    file = dataset.file
    file.close()
    for data in (dataset, file):
        with pytest.raises(CollectionError, match="open the file again"):
            as_collection(data)


def test_a_view_of_a_backed_anndata_is_refused(built):
    adata = built("AnnData CSR backed").data
    with pytest.raises(CollectionError, match=r"view of 3 cells.*indices=.*view\.to_memory\(\)"):
        as_collection(adata[:3])
    assert len(as_collection(adata[:3].to_memory())) == 3


def test_a_zip_file_that_is_being_written_is_refused(tmp_path):
    with zarr.storage.ZipStore(tmp_path / "x.zip", mode="w") as store:
        array = zarr.create_array(store, data=X)
        with pytest.raises(CollectionError, match='mode="r"'):
            as_collection(array)


class Picky:
    """Something with rows that takes one number at a time."""

    def __len__(self):
        return N_ROWS

    def __getitem__(self, row):
        return X[[10, 11, 12][row]]


class Narrow(Picky):
    """Something that returns two rows whatever was asked for."""

    def __getitem__(self, rows):
        return X[:2]


def test_what_cannot_be_indexed_by_many_rows_names_the_hook_that_reads_them():
    dataset = scDataset(Picky(), BlockShuffling(4), 5, seed=0)
    with pytest.raises(
        CollectionError, match=r"type Picky.*37 rows failed: TypeError.*fetch_callback\(collection, rows"
    ):
        next(iter(dataset))
    by_hand = scDataset(Picky(), BlockShuffling(4), 5, seed=0, fetch_callback=lambda _, rows: X[rows])
    assert sum(len(batch) for batch in by_hand) == N_ROWS


def test_what_returns_another_number_of_rows_names_the_hooks():
    with pytest.raises(CollectionError, match=r"gave a ndarray that does not.*batch_callback\(fetched, positions\)"):
        next(iter(scDataset(Narrow(), BlockShuffling(4), 5, seed=0)))
    with pytest.raises(ValueError, match="batch_callback"):
        next(iter(scDataset(Narrow(), Streaming(), 5)))


class Uneven(Dataset):
    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, row):
        return self.samples[row]


@pytest.mark.parametrize(
    "samples",
    [
        [torch.zeros(2), torch.zeros(3)],
        [{"a": 1}, {"b": 1}],
        [(1, 2), (1, 2, 3)],
        [object(), object()],
        [np.array(["a"]), np.array(["b"])],
    ],
    ids=["lengths", "keys", "tuples", "objects", "strings"],
)
def test_samples_that_do_not_collate_name_the_hook_that_combines_them(samples):
    with pytest.raises(CollectionError, match=r"Samples of Uneven cannot be collated.*fetch_callback\(dataset, rows\)"):
        next(iter(scDataset(Uneven(samples), Streaming(), 2)))


def test_samples_are_not_collated_where_a_hook_reads_them():
    dataset = scDataset(
        Uneven([torch.zeros(2), torch.ones(3)]),
        Streaming(),
        2,
        fetch_callback=lambda data, rows: torch.stack([data[row].sum() for row in rows]),
    )
    assert next(iter(dataset)).tolist() == [0, 3]


def test_a_frame_with_columns_called_like_methods_of_a_collection_is_a_frame():
    frame = pd.DataFrame({"read": IDS, "fingerprint": IDS})
    batch = next(iter(scDataset(frame, Streaming(), 3)))
    assert batch["read"].tolist() == [0, 1, 2]


def test_anndata_of_no_cells_gives_no_batches():
    assert list(scDataset(anndata.AnnData(X[:0]), Streaming(), 2)) == []

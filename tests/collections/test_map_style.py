"""A torch dataset that can take an array of rows is given one; whether it can is tried once, by its values."""

import pickle

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from tests.collections.reference import IDS, LABELS, N_ROWS, X
from torch.utils.data import ConcatDataset, Dataset, StackDataset, Subset, TensorDataset

from scdataset import BlockShuffling, CollectionError, MultiIndexable, Streaming, as_collection, scDataset

ROWS = np.array([5, 3, 3, 36, 0])


class Vectorised(Dataset):
    """A dataset whose ``__getitem__`` is a function of whatever it is given; it counts its calls."""

    def __init__(self, get, n_rows=N_ROWS):
        self.get, self.n_rows, self.calls = get, n_rows, []

    def __len__(self):
        return self.n_rows

    def __getitem__(self, rows):
        self.calls.append(rows)
        return self.get(rows)


class Batched(Vectorised):
    def __getitems__(self, rows):
        return [self.get(row) for row in rows]


FRAME = pd.DataFrame({"id": IDS, "x": X[:, 1]})
CSR = sp.csr_matrix(X)
CELLS = anndata.AnnData(X, obs=pd.DataFrame({"id": IDS}, index=LABELS))
TAKEN = {
    "numpy": lambda rows: X[rows],
    "torch": lambda rows: torch.from_numpy(X)[rows],
    "scipy": lambda rows: CSR[rows],
    "AnnData": lambda rows: CELLS[rows],
    "frame": lambda rows: FRAME.iloc[rows],
    "tuple": lambda rows: (X[rows], IDS[rows]),
    "dict": lambda rows: {"x": X[rows], "id": IDS[rows]},
    "modalities": lambda rows: MultiIndexable(x=X, id=IDS)[rows],
    "with gaps": lambda rows: np.where(X == 0, np.nan, X)[rows],
    "arrays only": lambda rows: X[rows[np.argsort(rows)]],
    "one in two axes": lambda rows: X[np.atleast_1d(rows)],
}


def plain(value):
    value = getattr(value, "X", value)
    return value.toarray() if sp.issparse(value) else np.asarray(value)


@pytest.mark.parametrize("get", TAKEN.values(), ids=TAKEN)
def test_an_array_of_rows_gives_what_indexing_gives(get):
    collection = as_collection(Vectorised(get))
    expected, read = get(np.unique(ROWS)), collection.read(np.unique(ROWS))
    assert type(read) is type(expected)
    if isinstance(expected, (np.ndarray, torch.Tensor, pd.DataFrame)) or sp.issparse(expected):
        np.testing.assert_array_equal(plain(collection.read(ROWS)), plain(get(np.unique(ROWS)))[[2, 1, 1, 3, 0]])


def random_parts(rows):
    return X[rows] + np.random.default_rng().normal(size=X[rows].shape)


def by_samples(rows):
    if np.ndim(rows):
        raise NotImplementedError
    return X[rows]


SAMPLED = {
    "array refused": by_samples,
    "one sample as long as the rows": lambda rows: np.full(2, float(np.max(rows))),
    "another axis": lambda rows: X[:N_ROWS].T[:, rows] if np.ndim(rows) else X[rows],
    "rows by the number of the array": lambda rows: X[np.arange(np.size(rows))] if np.ndim(rows) else X[rows],
    "normalised together": lambda rows: X[rows] / X[rows].sum(),
    "a single number": lambda rows: X[int(np.max(rows))],
}


@pytest.mark.parametrize("get", SAMPLED.values(), ids=SAMPLED)
def test_what_gives_no_rows_for_an_array_is_read_by_samples(get):
    dataset = Vectorised(get)
    read = as_collection(dataset).read(ROWS)
    np.testing.assert_allclose(read, np.array([get(int(row)) for row in ROWS]))
    assert isinstance(read, torch.Tensor)


def test_a_single_row_settles_nothing():
    column = Vectorised(lambda rows: X[int(np.asarray(rows).ravel()[0]), 1:2])  # a sample of length 1, as of one row
    collection = as_collection(column)
    assert collection.read(np.array([4])).tolist() == [[X[4, 1]]]
    assert collection.read(ROWS).tolist() == X[ROWS, 1:2].tolist()


def test_random_samples_are_compared_by_shape():
    read = as_collection(Vectorised(random_parts)).read(ROWS)
    assert type(read) is np.ndarray
    assert read.shape == (5, 5)


def test_a_list_of_samples_stays_a_list_with_one_entry_a_row():
    dataset = Vectorised(lambda rows: [X[row, :3] for row in rows] if np.ndim(rows) else X[rows, :3])
    for rows in (ROWS[:3], ROWS):  # three samples of three values could be columns
        read = as_collection(dataset).read(rows)
        assert isinstance(read, list)
        assert np.array_equal(read, X[rows, :3])


def test_samples_read_together_come_second():
    dataset = Batched(by_samples)
    assert np.array_equal(as_collection(dataset).read(ROWS), X[ROWS])
    assert [row for row in dataset.calls if np.ndim(row) == 0] == [0, 3, 36]  # to compare with


def test_an_object_that_reads_together_need_not_be_a_dataset_of_torch():
    class Plain:
        def __len__(self):
            return N_ROWS

        def __getitem__(self, row):
            return by_samples(row)

        def __getitems__(self, rows):
            return [X[row] for row in rows]

    assert np.array_equal(as_collection(Plain()).read(ROWS), X[ROWS])


def rows_of_x(rows):
    return X[rows]


@pytest.mark.parametrize(("get", "calls"), [(rows_of_x, [[0, 3, 5, 36]]), (by_samples, ROWS.tolist())])
def test_the_way_is_settled_once_and_pickled(get, calls):
    dataset = scDataset(Vectorised(get), Streaming(), 5)
    next(iter(dataset))
    collection = pickle.loads(pickle.dumps(dataset))._collection
    collection.source.calls.clear()
    collection.read(ROWS)
    assert [np.asarray(rows).tolist() for rows in collection.source.calls] == calls


def test_the_last_error_is_shown_with_those_before_it():
    def failing(rows):
        message = "no array" if np.ndim(rows) else "no sample"
        raise KeyError(message)

    collection = as_collection(Vectorised(failing))
    with pytest.raises(KeyError, match="no sample") as caught:
        collection.read(ROWS)
    assert any("dataset[array of rows] failed: KeyError: 'no array'" in note for note in caught.value.__notes__)
    collection.source.get = TAKEN["numpy"]
    assert np.array_equal(collection.read(ROWS), X[ROWS])  # nothing was settled


def test_an_error_after_the_way_is_settled_names_the_hook():
    collection = as_collection(Vectorised(lambda rows: X[:20][rows]))
    collection.read(ROWS[:3])
    with pytest.raises(CollectionError, match=r"IndexError.*fetch_callback\(collection, rows\)"):
        collection.read(ROWS)


def vectorised():
    return Vectorised(TAKEN["numpy"])


def test_combinations_of_torch_read_their_members_together():
    whole = vectorised()
    backwards = Subset(whole, list(range(N_ROWS))[::-1])
    parts = ConcatDataset([backwards, whole, Subset(whole, [-1, 0])])
    values = np.concatenate([X[::-1], X, X[[-1, 0]]])
    rows = np.array([75, 2, 40, 2, 74, 36, 37])
    read = as_collection(parts).read(rows)
    assert type(read) is np.ndarray
    assert np.array_equal(read, values[rows])
    assert as_collection(parts).read(rows[:0]).shape == (0, 5)
    pairs = as_collection(StackDataset(whole, backwards)).read(ROWS)
    assert isinstance(pairs, tuple)
    assert np.array_equal(pairs[1], X[::-1][ROWS])
    named = as_collection(StackDataset(a=whole, b=TensorDataset(torch.from_numpy(IDS)))).read(ROWS)
    assert named["b"][0].tolist() == ROWS.tolist()


def test_members_that_are_joined_keep_their_form():
    for get in (TAKEN["torch"], TAKEN["scipy"], TAKEN["tuple"], TAKEN["dict"], TAKEN["frame"], by_samples):
        parts = as_collection(ConcatDataset([Vectorised(get), Vectorised(get)]))
        read, expected = parts.read(np.array([36, 37, 1])), as_collection(Vectorised(get)).read(np.array([36, 0, 1]))
        assert type(read) is type(expected)
    with pytest.raises(CollectionError, match="ConcatDataset gave AnnData, which cannot be joined"):
        as_collection(ConcatDataset([Vectorised(TAKEN["AnnData"])] * 2)).read(np.array([1, 40]))


def test_a_subset_of_samples_is_collated_as_before():
    read = as_collection(Subset(Vectorised(by_samples), [3, 1])).read(np.array([1, 0]))
    assert np.array_equal(read, X[[1, 3]])
    assert isinstance(read, torch.Tensor)


def test_every_row_comes_once_and_a_batch_is_an_array():
    batches = list(scDataset(vectorised(), BlockShuffling(4), 5, 3, seed=0))
    assert all(type(batch) is np.ndarray for batch in batches)
    assert sorted(np.concatenate(batches)[:, 0].tolist()) == X[:, 0].tolist()

"""The four hooks: what each is given, and what is said of a wrong result."""

import weakref
from collections import deque, namedtuple

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from scdataset import (
    BlockShuffling,
    BlockWeightedSampling,
    CollectionError,
    HookError,
    MultiIndexable,
    Streaming,
    scDataset,
)

DATA = np.arange(100) * 10


def test_fetch_callback_gets_the_collection_and_ascending_rows():
    calls = []

    def read(collection, rows):
        calls.append((collection, rows))
        return collection[rows]

    dataset = scDataset(DATA, BlockShuffling(4), 8, 3, fetch_callback=read, seed=0)
    rows = np.concatenate(list(dataset)) // 10
    assert all(collection is DATA for collection, _ in calls)
    assert all(rows.dtype == np.int64 and np.all(np.diff(rows) > 0) for _, rows in calls)
    assert [len(rows) for _, rows in calls] == [24, 24, 24, 24, 4]
    plain = scDataset(DATA, BlockShuffling(4), 8, 3, seed=0)
    assert np.array_equal(rows, np.concatenate(list(plain)) // 10)


def test_hooks_run_one_after_the_other():
    def batch_of(fetched, positions):
        assert positions.dtype == np.int64
        return fetched[positions]

    dataset = scDataset(
        DATA,
        BlockShuffling(4),
        8,
        3,
        fetch_callback=lambda collection, rows: collection[rows] + 1,
        fetch_transform=lambda fetched: fetched * 2,
        batch_callback=batch_of,
        batch_transform=lambda batch: batch - 2,
        seed=0,
    )
    assert sorted(np.concatenate(list(dataset)).tolist()) == (DATA * 2).tolist()


def test_batch_callback_gets_positions_in_what_was_read_without_fetch_callback_too():
    dataset = scDataset(DATA, BlockShuffling(4), 8, 3, batch_callback=lambda f, p: f[p], seed=0)
    plain = scDataset(DATA, BlockShuffling(4), 8, 3, seed=0)
    assert all(np.array_equal(a, b) for a, b in zip(dataset, plain, strict=True))


def test_a_collection_that_only_has_a_length_works_with_fetch_callback():
    class Remote:
        def __len__(self):
            return 30

    dataset = scDataset(Remote(), Streaming(), 8, fetch_callback=lambda _, rows: rows * 2)
    assert np.concatenate(list(dataset)).tolist() == list(range(0, 60, 2))


def test_a_collection_without_a_length_works_with_fetch_callback_and_indices():
    dataset = scDataset(object(), BlockShuffling(4, indices=np.arange(5, 35)), 8, fetch_callback=lambda _, rows: rows)
    assert len(dataset) == 4
    assert sorted(np.concatenate(list(dataset)).tolist()) == list(range(5, 35))
    again = scDataset(
        object(), BlockShuffling(4, indices=np.arange(5, 35)), 8, fetch_callback=lambda _, rows: rows, seed=dataset.seed
    )
    again.load_state_dict(dataset.state_dict())
    weighted = BlockWeightedSampling(indices=[3, 7, 8], weights=[0, 1, 0], total_size=6)
    batches = list(scDataset(object(), weighted, 3, fetch_callback=lambda _, rows: rows))
    assert np.concatenate(batches).tolist() == [7] * 6


def test_a_collection_without_a_length_needs_indices():
    with pytest.raises(CollectionError, match=r"object, which has no length.*indices="):
        scDataset(object(), Streaming(), 8, fetch_callback=lambda _, rows: rows)


class Unsized:
    """A container of a user's own."""

    def __init__(self, rows):
        self.rows = rows

    def __getitem__(self, positions):
        assert isinstance(positions, np.ndarray)
        assert positions.dtype == np.int64
        return self.rows[np.sort(positions)]


class Sized(Unsized):
    """One whose length is that of something else."""

    def __len__(self):
        return 1


@pytest.mark.parametrize("kind", [Sized, Unsized])
@pytest.mark.parametrize("hook", ["fetch_transform", "fetch_callback"])
def test_a_container_of_the_users_own_is_cut_by_arrays_of_positions(kind, hook):
    make = {"fetch_transform": kind, "fetch_callback": lambda data, rows: kind(data[rows])}
    own = scDataset(DATA, BlockShuffling(4), 8, 3, seed=0, **{hook: make[hook]})
    plain = scDataset(DATA, BlockShuffling(4), 8, 3, seed=0)
    for batch, expected in zip(own, plain, strict=True):
        assert sorted(batch.tolist()) == sorted(expected.tolist())


def test_a_collection_may_give_a_container_of_its_own():
    class Source:
        def __len__(self):
            return 100

        def __getitem__(self, rows):
            return Unsized(DATA[rows])

    batches = list(scDataset(Source(), BlockShuffling(4), 8, 3, seed=0))
    assert sorted(np.concatenate(batches).tolist()) == DATA.tolist()


Pair = namedtuple("Pair", ["x", "y"])  # noqa: PYI024 the untyped kind that scripts have

FORMS = {
    "array": lambda rows: rows,
    "matrix": lambda rows: np.stack([rows, -rows], axis=1),
    "tensor": torch.from_numpy,
    "csr matrix": lambda rows: scipy.sparse.csr_matrix(rows[:, None]),
    "csr array": lambda rows: scipy.sparse.csr_array(rows[:, None]),
    "frame": lambda rows: pd.DataFrame({"row": rows}, index=rows + 5),
    "series": lambda rows: pd.Series(rows, index=rows + 5),
    "AnnData": lambda rows: anndata.AnnData(rows[:, None].astype(float)),
    "MultiIndexable": lambda rows: MultiIndexable(row=rows, text=rows.astype(str)),
    "dict": lambda rows: {"row": rows, "more": {"text": [str(row) for row in rows]}},
    "tuple": lambda rows: (rows, torch.from_numpy(rows)),
    "named tuple": lambda rows: Pair(rows, -rows),
    "list of columns": lambda rows: [rows, rows.astype(str)],
    "list of rows": lambda rows: [{"row": row} for row in rows.tolist()],
}


def first_column(batch):
    """Return the row numbers in a batch of any form."""
    if isinstance(batch, (MultiIndexable, dict)):
        return np.asarray(batch["row"])
    if isinstance(batch, list) and isinstance(batch[0], dict):
        return np.array([entry["row"] for entry in batch])
    if isinstance(batch, (list, tuple)):
        return np.asarray(batch[0])
    values = batch.X if isinstance(batch, anndata.AnnData) else batch
    values = values.toarray() if scipy.sparse.issparse(values) else np.asarray(values)
    return values.reshape(len(values), -1)[:, 0].astype(int)


@pytest.mark.filterwarnings("ignore:Transforming to str index")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_size", [1, 2, 8, 200])
def test_batches_are_cut_from_whatever_fetch_transform_returned(form, batch_size):
    plain = scDataset(np.arange(37), BlockShuffling(4), batch_size, 3, seed=0)
    through_transform = scDataset(np.arange(37), BlockShuffling(4), batch_size, 3, fetch_transform=FORMS[form], seed=0)
    through_callback = scDataset(
        np.arange(37), BlockShuffling(4), batch_size, 3, fetch_callback=lambda _, rows: FORMS[form](rows), seed=0
    )
    kind = type(FORMS[form](np.arange(3)))
    for expected, *cut in zip(plain, through_transform, through_callback, strict=True):
        for batch in cut:
            assert isinstance(batch, kind)
            assert np.array_equal(first_column(batch), expected)


@pytest.mark.parametrize("hook", ["fetch_callback", "fetch_transform"])
@pytest.mark.parametrize("result", [np.arange(3), 7, None, {"x": np.arange(2)}, "text", torch.tensor(1.0)])
def test_a_hook_that_returns_too_few_rows_is_named(hook, result):
    dataset = scDataset(DATA, Streaming(), 8, 2, **{hook: lambda *_: result})
    with pytest.raises(HookError, match=f"The {hook} returned .* for 16 rows"):
        next(iter(dataset))


def test_a_collection_that_returns_too_few_rows_is_named():
    class Short:
        def __len__(self):
            return 30

        def __getitem__(self, rows):
            return rows[:-1]

    with pytest.raises(HookError, match=r"The collection returned .*15.* for 16 rows"):
        next(iter(scDataset(Short(), Streaming(), 8, 2)))


def test_a_collection_that_cannot_be_indexed_says_which_hook_would_help():
    class Stubborn:
        def __len__(self):
            return 30

        def __getitem__(self, row):
            return {"only": "names"}[row]

    with pytest.raises(CollectionError, match="fetch_callback"):
        next(iter(scDataset(Stubborn(), Streaming(), 8)))


def test_errors_in_hooks_come_through_unchanged():
    def fail(_):
        message = "mine"
        raise ZeroDivisionError(message)

    for hook in ("fetch_transform", "batch_transform"):
        with pytest.raises(ZeroDivisionError, match="mine"):
            next(iter(scDataset(DATA, Streaming(), 8, **{hook: fail})))


@pytest.mark.parametrize("hook", ["batch_callback", "batch_transform"])
def test_a_hook_that_returns_none_in_place_of_a_batch_is_named(hook):
    with pytest.raises(HookError, match=f"The {hook} returned None in place of a batch"):
        next(iter(scDataset(DATA, Streaming(), 8, **{hook: lambda *_: None})))


@pytest.mark.parametrize("hooks", [{}, {"fetch_transform": lambda window: window}], ids=["rows", "windows"])
def test_a_batch_that_the_loop_drops_is_gone_before_the_next_is_made(hooks):
    made = []

    def transform(_):
        assert all(batch() is None for batch in made)
        batch = Array()
        made.append(weakref.ref(batch))
        return batch

    batches = iter(scDataset(np.arange(20), BlockShuffling(4), 5, seed=0, batch_transform=transform, **hooks))
    while next(batches, None) is not None:
        pass
    assert len(made) == 4


class Array:
    """A batch that a weak reference can see."""


UNCUT = {
    "sparse tensor": lambda window: torch.from_numpy(window).to_sparse(),
    "CSR tensor": lambda window: torch.from_numpy(window).to_sparse_csr(),
    "deque": lambda window: deque(window.tolist()),
    "set": lambda window: set(window[:, 0].tolist()),
    "memoryview": lambda window: memoryview(window[:, 0]),
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("make", UNCUT.values(), ids=UNCUT)
def test_a_window_of_a_kind_that_cannot_be_indexed_names_its_hook(make):
    dataset = scDataset(np.arange(16.0).reshape(8, 2), Streaming(), 4, 2, fetch_transform=make)
    with pytest.raises(HookError, match=r"The fetch_transform returned a \w+ \(.*for 8 rows, which cannot be cut"):
        next(iter(dataset))


@pytest.mark.parametrize(
    ("value", "said"), [(["a", "b"], "list of 2 entries"), ("text", "str of 4 entries"), (3, "int")]
)
def test_the_entry_of_a_dict_that_has_not_all_rows_is_named(value, said):
    hook = lambda window: {"X": window, "genes": value}  # noqa: E731
    with pytest.raises(HookError, match=f"returned a dict whose entry 'genes' is a {said} for 8 rows"):
        next(iter(scDataset(np.arange(8), Streaming(), 4, 2, fetch_transform=hook)))

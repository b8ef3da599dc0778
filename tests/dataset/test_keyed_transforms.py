"""Transforms that need keys: what is drawn for a cell depends on seed, epoch and row, and on nothing else."""

import pickle

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from tests.examples import rare
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, BlockWeightedSampling, HookError, MultiIndexable, open_collection, scDataset
from scdataset.transforms import (
    BinValues,
    Compose,
    DownsampleCounts,
    GeneSentence,
    Log1p,
    MaskValues,
    RankTokens,
    RowKeys,
    keyed,
)

N_ROWS = 230
DATA = np.arange(N_ROWS)


@keyed
def drawn(value, keys):
    """Return each row's number, which is its value, with a number drawn for it."""
    return np.column_stack([value, keys.uint64("test").view(np.int64)])


def _make(transforms, batch_size=16, fetch_factor=3, **options):
    options = {"seed": 1, **transforms, **options}
    return scDataset(DATA, BlockShuffling(4), batch_size, fetch_factor, **options)


def _by_row(batches):
    """Return the number drawn for each row of some batches, which is the same whenever a row comes again."""
    found = {}
    for row, number in np.concatenate(list(batches)).tolist():
        assert found.setdefault(row, number) == number
    return found


def _expected(seed=1, epoch=0):
    numbers = RowKeys(DATA, seed=seed, epoch=epoch).uint64("test").view(np.int64)
    return dict(zip(DATA.tolist(), numbers.tolist(), strict=True))


PLACES = pytest.mark.parametrize("place", ["fetch_transform", "batch_transform"])


@PLACES
@pytest.mark.parametrize(("batch_size", "fetch_factor"), [(16, 3), (7, 1), (230, 2)])
def test_a_cell_looks_the_same_in_every_batch_and_place(place, batch_size, fetch_factor):
    assert _by_row(_make({place: drawn}, batch_size, fetch_factor)) == _expected()


@PLACES
def test_other_seeds_and_epochs_look_different(place):
    dataset = _make({place: drawn})
    assert [_by_row(dataset) for _ in range(2)] == [_expected(), _expected(epoch=1)]
    dataset.set_epoch(7)
    dataset.seed = 5
    assert _by_row(dataset) == _expected(5, 7)


@PLACES
def test_workers_change_nothing(place):
    loader = DataLoader(_make({place: drawn}), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert [_by_row(np.asarray(batch) for batch in loader) for _ in range(2)] == [_expected(), _expected(epoch=1)]


@PLACES
def test_ranks_change_nothing(place):
    found = [_by_row(_make({place: drawn}, rank=rank, world_size=3)) for rank in range(3)]
    assert {**found[0], **found[1], **found[2]} == _expected()


@PLACES
def test_a_resume_in_the_middle_of_an_epoch_changes_nothing(place):
    dataset = _make({place: drawn})
    list(dataset)
    batches = iter(dataset)
    before = [next(batches) for _ in range(5)]
    again = pickle.loads(pickle.dumps(_make({place: drawn})))
    again.load_state_dict(dataset.state_dict())
    rest = list(again)
    assert _by_row(before + rest) == _expected(epoch=1)
    assert all(np.array_equal(a, b) for a, b in zip(rest, batches, strict=True))


@PLACES
@pytest.mark.parametrize(
    "callbacks",
    [
        {"fetch_callback": lambda data, rows: data[rows]},
        {"batch_callback": lambda fetched, positions: fetched[positions]},
        {
            "fetch_callback": lambda data, rows: data[rows],
            "batch_callback": lambda fetched, positions: fetched[positions],
        },
    ],
    ids=["fetch", "batch", "both"],
)
def test_callbacks_change_nothing(place, callbacks):
    assert _by_row(_make({place: drawn, **callbacks})) == _expected()


@PLACES
def test_a_composition_hands_keys_to_those_that_need_them(place):
    transform = Compose(lambda value: value + 0, drawn, lambda value: value)
    assert _by_row(_make({place: transform})) == _expected()
    assert _by_row(_make({place: Compose(transform)})) == _expected()
    assert not Compose(Log1p()).needs_keys


def test_both_places_get_keys_in_one_dataset():
    @keyed
    def twice(value, keys):
        return np.column_stack([value, keys.uint64("test").view(np.int64)])

    for batch in _make({"fetch_transform": drawn, "batch_transform": twice}):
        assert np.array_equal(batch[:, 1], batch[:, 2])


def test_rows_that_are_drawn_again_look_the_same():
    dataset = scDataset(DATA[:20], BlockWeightedSampling(block_size=1), 8, batch_transform=drawn, seed=1)
    found, expected = _by_row(dataset), _expected()
    assert len(found) < 20  # of as many draws
    assert all(expected[row] == number for row, number in found.items())


def test_a_window_or_batch_of_another_length_is_refused():
    short = {"fetch_callback": lambda data, rows: data[rows[1:]], "fetch_transform": drawn}
    with pytest.raises(HookError, match=r"fetch_transform needs the key of every row, and got 47 rows for the 48"):
        next(iter(_make({**short, "batch_callback": lambda fetched, positions: fetched[positions - 1]})))
    short = {"batch_callback": lambda fetched, positions: fetched[positions[1:]], "batch_transform": drawn}
    with pytest.raises(HookError, match=r"got 15 rows for the 16 .* from the batch_callback"):
        next(iter(_make(short)))
    container = {"batch_callback": lambda fetched, positions: MultiIndexable(y=fetched[positions[1:]])}
    with pytest.raises(HookError, match="got 15 rows for the 16"):
        next(iter(_make({**container, "batch_transform": drawn})))


def test_callbacks_get_no_keys():
    for name in ("fetch_callback", "batch_callback"):
        with pytest.raises(HookError, match=f"{name} needs keys, which fetch_transform and batch_transform are given"):
            _make({name: drawn})


def test_a_keyed_function_of_one_argument_is_refused():
    with pytest.raises(HookError, match=r"cannot be called as batch_transform\(batch, keys\)"):
        _make({"batch_transform": keyed(lambda batch: batch)})
    with pytest.raises(HookError, match=r"cannot be called as batch_transform\(batch\)"):
        _make({"batch_transform": lambda batch, keys: batch})


X = sp.csr_matrix(np.random.default_rng(0).poisson(0.7, (150, 40)), dtype=np.float32)
IDS = np.arange(40) + 1
COMPOSED = {
    "bins": Compose(BinValues(9), MaskValues(0.4)),
    "sentences": Compose(DownsampleCounts(15), BinValues(9), GeneSentence(IDS, 12, cls=0, pad=99), MaskValues(0.4)),
    "top": Compose(
        DownsampleCounts(fraction=0.8), GeneSentence(IDS, 30, sample="top", include_zeros=True), MaskValues(exact=True)
    ),
    "ranks": Compose(DownsampleCounts(15), RankTokens(IDS, np.ones(40), 24)),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    anndata.AnnData(X, obs={"row": np.arange(150)}).write_h5ad(path)
    return path


def _cells(batches):
    """Return the bytes of all members of each cell."""
    found = {}
    for batch in batches:
        members = [
            member.toarray() if sp.issparse(member) else member for name, member in batch.items() if name != "row"
        ]
        cells = zip(*members, strict=True)
        found.update(zip(batch["row"].tolist(), (b"".join(map(bytes, cell)) for cell in cells), strict=True))
    return found


@pytest.mark.parametrize("name", ["sentences", "ranks", *rare("bins", "top")])
def test_cells_of_a_file_look_the_same_read_ahead_or_not_by_threads_and_workers(path, name):
    transform = COMPOSED[name]
    with open_collection(path, obs=["row"]) as cells:
        whole = cells.read(np.arange(150))
        expected = _cells([transform(whole, RowKeys(np.arange(150), seed=3, epoch=0))])
        for options in ({"fetch_transform": transform}, {"batch_transform": transform}):
            for prefetch in (0, 2):
                dataset = scDataset(cells, BlockShuffling(4), 11, 3, seed=3, prefetch=prefetch, **options)
                assert _cells(dataset) == expected
                assert _cells(dataset) != expected
            loader = DataLoader(
                scDataset(cells, BlockShuffling(4), 16, 2, seed=3, **options),
                batch_size=None,
                num_workers=2,
                multiprocessing_context="fork",
            )
            assert _cells(loader) == expected

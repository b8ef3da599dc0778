"""Sets of rows as bits are the list of their rows, in any order of positions, at a fraction of the memory."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from scdataset.strategy import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    GroupedSampling,
    Streaming,
    bitmap,
)
from scdataset.strategy.bitmap import Bitmap
from scdataset.strategy.selection import Rows, Selection

N_ROWS = 5_000
WEIGHTS = np.random.default_rng(0).random(N_ROWS)
LABELS = np.random.default_rng(1).integers(0, 5, N_ROWS)


@st.composite
def masks(draw):
    """Draw a mask with gaps longer than a stratum, and with single rows, runs and random parts."""
    parts = draw(st.lists(st.tuples(st.integers(1, 1500), st.sampled_from([0, 0.02, 0.5, 1])), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    mask = np.concatenate([rng.random(length) < share for length, share in parts])
    mask[draw(st.integers(0, mask.size - 1))] = True
    return mask


@settings(deadline=None, max_examples=examples(100))
@given(masks(), st.data())
def test_bits_are_the_list_of_their_rows(mask, data):
    bits, rows = Bitmap.from_mask(mask), np.flatnonzero(mask)
    start = data.draw(st.integers(0, rows.size))
    stop = data.draw(st.integers(start, rows.size))
    np.testing.assert_array_equal(bits.between(start, stop), rows[start:stop])
    positions = np.concatenate([np.arange(start, stop), np.arange(rows.size)[::-1], np.repeat(np.arange(rows.size), 2)])
    np.testing.assert_array_equal(bits.at(positions), rows[positions])
    shuffled = np.random.default_rng(0).permutation(rows.size)
    np.testing.assert_array_equal(bits.at(shuffled), rows[shuffled])
    np.testing.assert_array_equal(bits.taken(mask.cumsum()), mask.cumsum()[rows])


@pytest.mark.parametrize("rows", [[0], [511], [512], [0, 511, 512, 1023, 1024], [63, 64, 9_999]])
def test_rows_at_the_bounds_of_words_and_strata_are_found(rows):
    mask = np.isin(np.arange(10_000), rows)
    assert Bitmap.from_mask(mask).between(0, len(rows)).tolist() == rows


def test_pieces_are_all_rows(monkeypatch):
    monkeypatch.setattr(bitmap, "_PIECE", 7)
    mask = np.arange(100) % 3 == 0
    pieces = list(Bitmap.from_mask(mask).pieces())
    assert [piece.size for piece in pieces] == [7] * 4 + [6]
    assert np.concatenate(pieces).tolist() == list(range(0, 100, 3))


def test_many_rows_take_less_than_a_quarter_of_a_byte_each():
    mask = np.arange(8_000_000) % 3 > 0
    for indices in (mask, np.flatnonzero(mask), np.flatnonzero(mask)[::-1]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the last are not in order
            rows = Streaming(indices)._selection.rows
        assert rows.listed.size == 0
        assert sum(array.nbytes for array in rows.bits) < mask.size / 6


@pytest.mark.parametrize("rows", [[0, 10**9], [3, 3, 4]])
def test_rows_that_are_far_apart_or_repeated_stay_listed(monkeypatch, rows):
    monkeypatch.setattr(bitmap, "_MIN_LIST", 0)
    assert Rows.from_list(np.array(rows)).listed.tolist() == rows


def test_order_is_only_kept_for_values_that_are_given_one_an_index():
    with pytest.warns(UserWarning, match="not in ascending order"):
        assert Selection([3, 1, 2], has_values=False).sorting is None
    with pytest.warns(UserWarning, match="not in ascending order"):
        assert Selection([3, 1, 2]).sorting.dtype == np.int32


STRATEGIES = {
    "streaming": Streaming,
    "blocks": lambda indices: BlockShuffling(7, indices),
    "draws": lambda indices: BlockWeightedSampling(3, indices, WEIGHTS, aligned_to="collection"),
    "rounds": lambda indices: BlockWeightedSampling(3, indices, WEIGHTS, replace=False, sampling_size=900),
    "draws by index": lambda indices: BlockWeightedSampling(3, indices, WEIGHTS[: len(indices)], aligned_to="indices"),
    "classes": lambda indices: ClassBalancedSampling(LABELS, 3, indices),
    "groups": lambda indices: GroupedSampling(LABELS, set_size=4, indices=indices),
}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.filterwarnings("ignore:indices is not in ascending order")
def test_every_strategy_has_the_same_order_and_fingerprint_with_bits(monkeypatch, name):
    mask = np.random.default_rng(2).random(N_ROWS) < 0.4
    given = [np.flatnonzero(mask), np.random.default_rng(3).permutation(np.flatnonzero(mask))]
    for indices in given if name == "draws by index" else [*given, mask]:
        found = []
        for least in (bitmap._MIN_LIST, 0):
            monkeypatch.setattr(bitmap, "_MIN_LIST", least)
            strategy = STRATEGIES[name](indices)
            assert (strategy._selection.rows.bits.ranks.size > 0) == (least == 0)
            order = strategy.order(N_ROWS, seed=1, epoch=2)
            found.append((order.rows(0, len(order)).tolist(), strategy.indices.tolist(), strategy.fingerprint()))
            monkeypatch.undo()
        assert found[0] == found[1]

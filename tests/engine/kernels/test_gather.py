"""Compiled loops, where files do not reach them easily."""

import numpy as np
import pytest

from scdataset.engine.arrays.spans import Spans, scatter
from scdataset.engine.kernels.gather import OUT_OF_RANGE, renumber_piece, scatter_piece

NO_COLUMNS = np.empty(0, np.int32)
LARGE = 1 << 24
"""Bytes from which on outputs are written past the cache."""


def spans_of(rng, n_elements, n_spans):
    """Return where spans of any length start, how long they are, and where they go one after the other, shuffled."""
    starts = np.sort(rng.integers(0, n_elements, n_spans))
    lengths = np.minimum(rng.integers(0, 900, n_spans), n_elements - starts)
    order = rng.permutation(n_spans)
    places = np.empty(n_spans, np.int64)
    places[order] = np.cumsum(lengths[order]) - lengths[order]
    return starts, lengths, places


@pytest.mark.parametrize("item", [1, 2, 4, 8])
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_large_outputs_hold_what_small_ones_do(item, offset):
    rng = np.random.default_rng(item)
    piece = rng.integers(0, 250, 5_000).astype(f"u{item}")
    starts, lengths, places = spans_of(rng, piece.size, 400)
    outs = [np.zeros(n_bytes // item, piece.dtype)[offset:] for n_bytes in (LARGE // 2, LARGE + 64)]
    for out in outs:
        scatter(piece, Spans(starts, lengths, places), out)
    size = lengths.sum()
    np.testing.assert_array_equal(outs[0][:size], outs[1][:size])
    for start, length, place in zip(starts, lengths, places, strict=True):
        np.testing.assert_array_equal(outs[1][place : place + length], piece[start : start + length])
    assert not outs[0][size:].any()
    assert not outs[1][size:].any()


@pytest.mark.parametrize("stored", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("columns", [NO_COLUMNS, np.random.default_rng(0).permutation(200).astype(np.int32)])
def test_column_numbers_of_any_size_become_those_of_the_result(stored, columns):
    rng = np.random.default_rng(1)
    piece = rng.integers(0, 200, 3_000).astype(stored)
    starts, lengths, places = spans_of(rng, piece.size, 50)
    out = np.zeros(lengths.sum(), np.uint32)
    packed = np.concatenate([piece[start : start + length] for start, length in zip(starts, lengths, strict=True)])
    begins = np.cumsum(lengths) - lengths
    assert renumber_piece(packed, 0, 0, 50, begins, lengths, places, out, 200, columns) == 0
    wanted = columns[piece.astype(int)] if columns.size else piece
    for start, length, place in zip(starts, lengths, places, strict=True):
        np.testing.assert_array_equal(out[place : place + length], wanted[start : start + length])


@pytest.mark.parametrize("item", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [1, 7, 8, 9, 19])
def test_a_number_at_the_limit_is_found_wherever_it_stands_and_no_other(item, size):
    half = 1 << (8 * item - 1)
    spans = np.zeros(1, np.int64), np.array([size]), np.zeros(1, np.int64)
    out = np.zeros(size * item, np.uint8)
    for limit in (limit for limit in (1, 100, half - 1, half, half + 1, 2 * half - 1) if limit < 2**63):
        for place in range(size):
            for number in {limit - 1, limit, half - 1, half, 2 * half - 1}:
                piece = np.zeros(size, f"u{item}")
                piece[place] = number
                status = scatter_piece(piece.view(np.uint8), item, 0, 0, 1, *spans, out, limit)
                assert (status == OUT_OF_RANGE) == (number >= limit)


@pytest.mark.parametrize("item", [1, 2, 4, 8])
def test_no_number_is_below_nothing_and_all_are_below_more_than_the_type_holds(item):
    piece, out = np.full(5, 256**item - 1, f"u{item}").view(np.uint8), np.zeros(5 * item, np.uint8)
    spans = np.zeros(1, np.int64), np.array([5]), np.zeros(1, np.int64)
    assert scatter_piece(np.zeros_like(piece), item, 0, 0, 1, *spans, out, 0) == OUT_OF_RANGE
    if item < 8:
        assert scatter_piece(piece, item, 0, 0, 1, *spans, out, 256**item) == 0

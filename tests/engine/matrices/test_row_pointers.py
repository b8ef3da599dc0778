"""Row pointers, kept as lengths."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdataset.engine.matrices import row_pointers
from scdataset.engine.matrices.row_pointers import RowPointers


@given(st.lists(st.one_of(st.integers(0, 3), st.integers(0, 70_000), st.integers(0, 2**33)), max_size=300))
def test_spans_are_those_of_the_pointers(lengths):
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    table = RowPointers.from_pointers(indptr, int(indptr[-1]))
    rows = np.random.default_rng(0).integers(0, max(len(lengths), 1), 2 * len(lengths))
    starts, counts = table.spans(rows)
    assert len(table) == len(lengths)
    np.testing.assert_array_equal(starts, indptr[:-1][rows])
    np.testing.assert_array_equal(counts, np.diff(indptr)[rows])
    assert counts.dtype == starts.dtype == np.int64


@pytest.mark.parametrize("dtype", ["i4", "i8", "u4", "u8", ">i8"])
def test_pointers_of_any_integers(dtype):
    starts, counts = RowPointers.from_pointers(np.array([0, 2, 2, 7], dtype), 7).spans(np.array([2, 0]))
    assert starts.tolist() == [2, 0]
    assert counts.tolist() == [5, 2]


@pytest.mark.parametrize(("longest", "n_bytes"), [(255, 1), (256, 2), (65_535, 2), (65_536, 4), (2**32, 8)])
def test_lengths_take_the_smallest_type(longest, n_bytes):
    assert RowPointers.from_pointers(np.array([0, longest]), longest).lengths.itemsize == n_bytes


def test_a_few_long_rows_do_not_widen_the_lengths_of_all_others():
    lengths = np.random.default_rng(0).integers(0, 5000, 10_000)
    lengths[[3, 64, 100, 101, 9999]] = 10**6, 65_536, 2**40, 65_535, 70_000
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    table = RowPointers.from_pieces(np.split(indptr, [4, 90, 5000]), lengths.size, int(indptr[-1]))
    assert table.lengths.dtype == np.uint16
    assert sum(array.nbytes for array in table.arrays) < 2.3 * lengths.size
    assert table.n_elements == indptr[-1]
    starts, counts = table.spans(np.arange(lengths.size))
    np.testing.assert_array_equal(starts, indptr[:-1])
    np.testing.assert_array_equal(counts, lengths)


def test_arrays_with_long_rows_elsewhere_make_no_table():
    lengths = np.full(5000, 7)
    lengths[[70, 80, 4000]] = 300
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    arrays = RowPointers.from_pointers(indptr, int(indptr[-1])).arrays
    assert RowPointers.from_arrays(arrays, 5000, int(indptr[-1])) is not None
    for number, changed in (
        (2, [70, 81, 4000]),
        (2, [80, 70, 4000]),
        (2, [70, 80, 5000]),
        (3, [45, 45, 46]),
        (3, [45]),
    ):
        wrong = [*arrays[:number], np.array(changed), *arrays[number + 1 :]]
        assert RowPointers.from_arrays(wrong, 5000, int(indptr[-1])) is None


@pytest.mark.parametrize(
    ("indptr", "said"),
    [
        ([], "no entries"),
        ([1, 3, 9], "1 at its start"),
        ([0, 3, 8], "8 at its end"),
        ([0, 3, 10], "10 at its end"),
        ([0, 5, 4, 9], "falls after row 1"),
        ([0, -1, 9], "falls after row 0"),
        ([0, 2**63 - 1, -(2**63), -1, 9], "falls after row 1"),  # whose differences overflow to positive numbers
    ],
)
def test_pointers_that_do_not_rise_from_zero_to_the_end(indptr, said):
    with pytest.raises(ValueError, match=said):
        RowPointers.from_pointers(np.array(indptr, np.int64), 9)


def test_pointers_that_are_no_integers():
    with pytest.raises(ValueError, match="float64"):
        RowPointers.from_pointers(np.array([0.0, 4.5, 9.0]), 9)


@given(
    lengths=st.lists(st.one_of(st.integers(0, 3), st.integers(0, 70_000)), max_size=300),
    cuts=st.lists(st.integers(0, 300), max_size=9),
)
def test_pieces_give_what_the_whole_gives(lengths, cuts):
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    whole = RowPointers.from_pointers(indptr, int(indptr[-1]))
    table = RowPointers.from_pieces(
        np.split(indptr, sorted(min(cut, indptr.size) for cut in cuts)), len(lengths), indptr[-1]
    )
    for one, other in zip(table.arrays, whole.arrays, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@given(
    pointers=st.lists(st.integers(-2, 9), min_size=1, max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=4),
)
def test_pieces_are_refused_with_the_words_of_the_whole(pointers, cuts):
    indptr = np.array(pointers, np.int64)
    pieces = np.split(indptr, sorted(min(cut, indptr.size) for cut in cuts))
    said = []
    for make in (
        lambda: RowPointers.from_pointers(indptr, 7),
        lambda: RowPointers.from_pieces(pieces, indptr.size - 1, 7),
    ):
        try:
            said.append(make().lengths.tolist())
        except ValueError as error:
            said.append(str(error))
    assert said[0] == said[1]
    assert isinstance(said[0], list) == (pointers[0] == 0 and pointers[-1] == 7 and pointers == sorted(pointers))


@given(size=st.integers(0, 5000), chunk=st.integers(0, 3000))
def test_pieces_are_whole_chunks_of_a_few_megabytes(size, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_pointers, "_PIECE", 1000)
        places = list(row_pointers.pieces_of(size, chunk))
    assert [place for piece in places for place in range(piece.start, piece.stop)] == list(range(size))
    assert all(piece.start % max(chunk, 1) == 0 for piece in places)
    assert all(piece.stop - piece.start <= max(1000, chunk) for piece in places)


@given(st.lists(st.one_of(st.integers(0, 3), st.integers(0, 70_000), st.integers(0, 2**33)), max_size=300))
def test_arrays_of_a_table_make_it_again_and_no_other(lengths):
    n, total = len(lengths), sum(lengths)
    table = RowPointers.from_pointers(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), total)
    assert RowPointers.from_arrays(table.arrays, n, total).arrays == table.arrays
    for rows, elements in ((n + 1, total), (n, total + 1), (n, total - 1), (n + 64, total)):
        assert RowPointers.from_arrays(table.arrays, rows, elements) is None
    for place in range(0, n, 7):
        for array in (0, 1) if place < table.firsts.size else (0,):
            changed = [part.copy() for part in table.arrays]
            changed[array][place] ^= 1
            assert RowPointers.from_arrays(changed, n, total) is None


def test_it_pickles():
    table = pickle.loads(pickle.dumps(RowPointers.from_pointers(np.array([0, 4, 9]), 9)))
    assert table.spans(np.array([1]))[0].tolist() == [4]


def test_how_many_elements_of_a_stretch_are_of_one_row():
    lengths = np.random.default_rng(0).integers(0, 5, 300)
    rows = np.repeat(np.arange(300), lengths)
    table = RowPointers.from_pointers(np.concatenate([[0], np.cumsum(lengths)]), rows.size)
    for start, stop in [(0, 1), (0, rows.size), (100, 107), (255, 300), (rows.size - 3, rows.size + 99), (50, 50)]:
        expected = np.bincount(rows[start:stop], minlength=1).max()
        assert table.most_in(start, stop) == expected
    assert RowPointers.from_pointers(np.zeros(1, int), 0).most_in(0, 9) == 0

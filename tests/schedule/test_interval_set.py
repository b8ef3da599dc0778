"""IntervalSet: sets of whole numbers, against Python's own sets."""

from hypothesis import given
from hypothesis import strategies as st

from scdataset.schedule.interval_set import IntervalSet

runs = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 12)).map(lambda t: range(t[0], t[0] + t[1])), max_size=9)


def numbers(ranges):
    return [number for run in ranges.runs for number in run]


@given(runs)
def test_a_union_ascends_and_has_no_touching_runs(some):
    union = IntervalSet.from_ranges(some)
    assert numbers(union) == sorted({number for run in some for number in run})
    assert all(left.stop < right.start for left, right in zip(union.runs, union.runs[1:], strict=False))
    assert union.count == len(numbers(union))


@given(runs, runs)
def test_a_difference_leaves_what_is_in_one_alone(some, others):
    left = IntervalSet.from_ranges(some).without(IntervalSet.from_ranges(others))
    assert numbers(left) == sorted(
        set(numbers(IntervalSet.from_ranges(some))) - set(numbers(IntervalSet.from_ranges(others)))
    )
    assert all(left.runs)


@given(runs, st.data())
def test_places_are_counted_through(some, data):
    union = IntervalSet.from_ranges(some)
    start = data.draw(st.integers(0, union.count))
    stop = data.draw(st.integers(start, union.count))
    assert [number for run in union.at(start, stop) for number in run] == numbers(union)[start:stop]


@given(runs, st.integers(1, 7))
def test_aligned_windows_are_those_of_which_nothing_is_missing(some, size):
    union = IntervalSet.from_ranges(some)
    inside = set(numbers(union))
    whole = [w for w in range(101) if all(number in inside for number in range(w * size, (w + 1) * size))]
    assert numbers(union.aligned(size)) == whole

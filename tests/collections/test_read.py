"""A collection returns any of its rows, in any order, as often as asked."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.collections.reference import IDS, N_ROWS

from scdataset import Collection, as_collection
from scdataset.collections.rows import as_rows, take_rows

ROWS = st.lists(st.integers(0, N_ROWS - 1), min_size=1, max_size=50).map(lambda rows: np.array(rows, np.int64))


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS)
def test_rows_come_in_the_order_asked_for(container, rows):
    fetched = container.collection().read(rows)
    assert container.rows(as_rows(fetched, rows.size)) == rows.tolist()


def test_a_single_row_is_a_batch_of_one_and_no_rows_are_an_empty_one(container):
    for row in (0, 17, N_ROWS - 1):
        fetched = container.collection().read(np.array([row]))
        assert container.rows(as_rows(fetched, 1)) == [row]
    window = as_rows(container.collection().read(np.empty(0, np.int64)), 0)
    assert window is not None
    assert type(window) is type(as_rows(container.collection().read(IDS), N_ROWS))


def test_row_numbers_may_be_read_only_and_come_twice(container):
    rows = np.repeat(IDS[::-3], 2)
    rows.flags.writeable = False
    fetched = container.collection().read(rows)
    assert container.rows(as_rows(fetched, rows.size)) == rows.tolist()


def test_what_was_read_is_cut_by_slices_and_by_row_numbers(container):
    window = as_rows(container.collection().read(IDS), N_ROWS)
    assert container.rows(take_rows(window, slice(5, 20))) == list(range(5, 20))
    assert container.rows(take_rows(window, np.array([9, 2, 2]))) == [9, 2, 2]
    again = take_rows(take_rows(window, slice(10, 20)), slice(1, 3))
    assert container.rows(again) == [11, 12]


def test_a_collection_has_the_length_of_its_container(container):
    collection = container.collection()
    assert isinstance(collection, Collection)
    assert len(collection) == N_ROWS
    assert as_collection(collection) is collection


def test_a_fingerprint_stays_the_same_and_the_dataset_gives_back_the_collection(container):
    fingerprint = container.collection().fingerprint()
    assert isinstance(fingerprint, str)
    assert container.collection().fingerprint() == fingerprint
    assert container.dataset().collection is container.data

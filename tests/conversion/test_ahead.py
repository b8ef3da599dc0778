"""Each item is read while the one before it is used, and a store is asked for it before that."""

import threading

import pytest

from scdataset.conversion.ahead import read_ahead


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_items_come_in_their_order_each_announced_before_the_one_in_front_of_it_is_read(n):
    done = []
    found = list(
        read_ahead(lambda item: done.append(("read", item)), range(n), lambda item: done.append(("ask", item)))
    )
    assert found == [(item, None) for item in range(n)]
    assert sorted(done) == sorted((kind, item) for kind in ("ask", "read") for item in range(n))
    assert all(done.index(("ask", item)) < done.index(("read", max(item - 1, 0))) for item in range(n))


def test_an_item_that_cannot_be_announced_is_read_all_the_same():
    assert list(read_ahead(lambda item: item + 1, [1, 2], lambda item: item / 0)) == [(1, 2), (2, 3)]


def test_a_read_that_waits_for_a_store_is_not_waited_for_after_an_error():
    answered, begun, done = threading.Event(), threading.Event(), threading.Event()

    def read(item):
        if item:
            begun.set()
            answered.wait()
            done.set()

    items = read_ahead(read, range(4), lambda item: None)
    next(items)
    begun.wait()
    items.close()
    assert not done.is_set()
    answered.set()
    assert done.wait(60)

"""Each item is read while the one before it is used, and a store is asked for it before that."""

import threading
from concurrent.futures import Future

import pytest

from scdataset.conversion.ahead import read_ahead
from scdataset.engine.bytes.connections import result_of
from scdataset.errors import UnreachableStoreError


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


def test_a_read_that_waits_for_a_store_is_given_up_after_an_error():
    begun, answer, found = threading.Event(), Future(), []

    def read(item):
        if item:
            begun.set()
            with pytest.raises(UnreachableStoreError, match="nobody wants its rows") as error:
                result_of(answer)
            found.append(error)

    items = read_ahead(read, range(4), lambda item: None)
    next(items)
    begun.wait()
    items.close()
    assert len(found) == 1

"""Collections that a ``with`` statement closes."""

import pytest

from scdataset.cells.closing import Closing


class Counted(Closing):
    closed = 0

    def close(self):
        self.closed += 1


def test_a_collection_is_closed_after_the_block_and_after_an_error_in_it():
    collection = Counted()
    with collection as given:
        assert given is collection
        assert not collection.closed
    with pytest.raises(KeyError), collection:
        raise KeyError
    assert collection.closed == 2

"""Collections without a length end with the last row of the strategy's indices."""

import pytest

from scdataset import Streaming
from scdataset.dataset.unsized import Unsized, has_length
from scdataset.errors import CollectionError


class Endless:
    obs = "columns"


def test_the_last_index_is_the_last_row():
    unsized = Unsized(Endless(), Streaming(indices=[2, 7]))
    assert len(unsized) == 8
    assert unsized.obs == "columns"


def test_without_indices_it_is_refused():
    with pytest.raises(CollectionError, match="of type Endless, which has no length"):
        Unsized(Endless(), Streaming())


def test_lengths_are_told_by_the_class():
    assert has_length([])
    assert not has_length(Endless())

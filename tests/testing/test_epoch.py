"""Epochs as the content of their batches."""

from collections import Counter

import numpy as np
import pytest

from scdataset import Streaming, scDataset
from scdataset.testing.epoch import check_shared_out, contents, loader

WHOLE = Counter("abcd")


def dataset(**options):
    return scDataset(np.arange(40), Streaming(), 10, seed=0, **options)


def test_contents_are_those_of_each_batch_with_and_without_workers():
    assert loader(same := dataset(), 0) is same
    assert len(set(contents(dataset()))) == 4
    assert list(contents(dataset(), 1)) == list(contents(dataset()))


@pytest.mark.parametrize(
    ("found", "options", "worlds"),
    [
        ("abcd", {}, [1]),
        ("abcdd", {}, [2]),
        ("abcddd", {}, [2, 2]),
        ("abc", {"drop_last": True}, [2]),
        ("abcd", {"uneven_ranks": True}, [3]),
    ],
)
def test_an_epoch_may_lack_or_repeat_as_much_as_its_options_say(found, options, worlds):
    check_shared_out(Counter(found), dataset(**options), WHOLE, worlds)


@pytest.mark.parametrize(
    ("found", "options", "worlds", "said"),
    [
        ("abc", {}, [2], "1 are missing"),
        ("abcddd", {}, [2], "2 came again"),
        ("abcdd", {"uneven_ranks": True}, [2], "1 came again"),
        ("ab", {"drop_last": True}, [2], "2 are missing"),
        ("abcde", {}, [2], "1 are none of them"),
    ],
)
def test_an_epoch_that_lacks_or_repeats_more_is_an_error(found, options, worlds, said):
    with pytest.raises(AssertionError, match=said):
        check_shared_out(Counter(found), dataset(**options), WHOLE, worlds)

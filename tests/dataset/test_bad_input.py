"""Bad input is refused at construction, naming the argument, what was given and what is allowed."""

from pathlib import Path

import numpy as np
import pytest

import scdataset
from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    BlockShuffling,
    BlockWeightedSampling,
    CollectionChangedError,
    CollectionError,
    LoaderError,
    Streaming,
    scDataset,
)

DATA = np.arange(10)

WRONG = [
    ({"batch_size": 0}, ArgumentValueError, "batch_size=0 .* at least 1"),
    ({"batch_size": -3}, ArgumentValueError, "batch_size=-3 .* at least 1"),
    ({"batch_size": 2.5}, ArgumentTypeError, "batch_size=2.5 .* float.* an integer"),
    ({"batch_size": 64.0}, ArgumentTypeError, "batch_size=64.0 .* an integer"),
    ({"batch_size": True}, ArgumentTypeError, "batch_size=True .* bool.* an integer"),
    ({"batch_size": "64"}, ArgumentTypeError, "batch_size='64' .* str.* an integer"),
    ({"batch_size": None}, ArgumentTypeError, "batch_size=None .* an integer"),
    ({"fetch_factor": 0}, ArgumentValueError, "fetch_factor=0 .* at least 1"),
    ({"fetch_factor": 1.5}, ArgumentTypeError, "fetch_factor=1.5"),
    ({"drop_last": 2}, ArgumentTypeError, "drop_last=2 .* True or False"),
    ({"drop_last": "no"}, ArgumentTypeError, "drop_last='no' .* True or False"),
    ({"uneven_ranks": None}, ArgumentTypeError, "uneven_ranks=None .* True or False"),
    ({"fetch_callback": 3}, ArgumentTypeError, "fetch_callback=3 .* function"),
    ({"fetch_transform": "log1p"}, ArgumentTypeError, "fetch_transform='log1p' .* function"),
    ({"batch_callback": []}, ArgumentTypeError, r"batch_callback=\[\] .* function"),
    ({"batch_transform": 1}, ArgumentTypeError, "batch_transform=1 .* function"),
    ({"rank": 2, "world_size": 2, "seed": 0}, ArgumentValueError, "rank=2 .* at most 1"),
    ({"rank": -1, "world_size": 2, "seed": 0}, ArgumentValueError, "rank=-1 .* at least 0"),
    ({"rank": 0, "world_size": 0, "seed": 0}, ArgumentValueError, "world_size=0 .* at least 1"),
    ({"rank": 0.0, "world_size": 2, "seed": 0}, ArgumentTypeError, "rank=0.0"),
    ({"rank": 1, "seed": 0}, ArgumentValueError, "rank=1 .* world_size=1"),
    ({"world_size": 2, "seed": 0}, RuntimeError, "world_size=2 without a rank"),
    ({"seed": -1}, ArgumentValueError, "seed=-1 .* at least 0"),
    ({"seed": 2**64}, ArgumentValueError, "at most 18446744073709551615"),
    ({"seed": 0.5}, ArgumentTypeError, "seed=0.5"),
    ({"strategy": BlockShuffling}, ArgumentTypeError, r"the class BlockShuffling .* write BlockShuffling\(\)"),
    ({"strategy": "shuffle"}, ArgumentTypeError, "strategy='shuffle' .* BlockShuffling"),
    ({"strategy": None}, ArgumentTypeError, "strategy=None"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG)
def test_wrong_arguments_are_refused_at_construction(arguments, error, message):
    with pytest.raises(error, match=message):
        scDataset(DATA, **{"strategy": Streaming(), "batch_size": 4, **arguments})


def test_numpy_integers_are_integers():
    assert scDataset(DATA, Streaming(), np.int32(4), np.uint8(2), seed=np.uint64(7)).fetch_size == 8


def test_errors_are_of_one_tree_and_of_the_builtin_that_callers_catch():
    for error, builtin in [
        (ArgumentTypeError, TypeError),
        (ArgumentValueError, ValueError),
        (LoaderError, RuntimeError),
    ]:
        assert issubclass(error, builtin)
        assert issubclass(error, scdataset.ScDatasetError)


@pytest.mark.parametrize("collection", [3, None, "text", object(), {"x": DATA}, (DATA, DATA), {1, 2}])
def test_what_has_no_rows_is_refused_at_construction(collection):
    with pytest.raises(CollectionError):
        scDataset(collection, Streaming(), 4)


@pytest.mark.parametrize(
    "strategy",
    [
        Streaming(indices=[3, 10]),
        BlockShuffling(indices=range(5, 11)),
        BlockShuffling(indices=np.ones(9, bool)),
        BlockWeightedSampling(weights=np.ones(9)),
        BlockWeightedSampling(weights=[0.0, 1.0], indices=[3, 10]),
    ],
)
def test_a_strategy_that_does_not_fit_the_collection_is_refused_at_construction(strategy):
    with pytest.raises(ArgumentValueError, match=r"10 rows|\(10\)"):
        scDataset(DATA, strategy, 4)


def test_a_collection_that_changed_its_length_is_refused_at_the_next_epoch():
    data = list(range(10))
    dataset = scDataset(data, Streaming(), 4)
    assert len(list(dataset)) == 3
    data.append(10)
    with pytest.raises(CollectionChangedError, match="has 11 rows and had 10"):
        iter(dataset)


def test_set_epoch_takes_whole_numbers_from_zero():
    dataset = scDataset(DATA, Streaming(), 4)
    with pytest.raises(ArgumentValueError, match="epoch=-1"):
        dataset.set_epoch(-1)
    with pytest.raises(ArgumentTypeError, match=r"epoch=1\.0"):
        dataset.set_epoch(1.0)


def test_ranks_without_a_seed_or_a_process_group_agree_and_say_how():
    """Defect: a manual rank and world_size without a seed fails although no process group exists."""
    with pytest.warns(UserWarning, match="seed=0 is used"):
        dataset = scDataset(DATA, BlockShuffling(), 4, rank=1, world_size=2)
    assert dataset.seed == 0


@pytest.mark.parametrize(
    ("collection", "message"),
    [
        ("/data/cells.h5ad", r"open_collection\('/data/cells.h5ad'\)"),
        (Path("/data/cells.h5ad"), r"is a path.* open_collection\('/data/cells.h5ad'\)"),
        (["a.h5ad", Path("b.h5ad")], r"list of 2 paths.* open_collection\(paths\)"),
    ],
)
def test_a_path_in_place_of_a_collection_says_how_to_open_it(collection, message):
    with pytest.raises(CollectionError, match=message):
        scDataset(collection, Streaming(), 4)


def test_a_list_of_other_strings_is_a_collection():
    assert len(list(scDataset(["a.h5ad", "words"], Streaming(), 1))) == 2

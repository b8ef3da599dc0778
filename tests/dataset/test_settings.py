"""Attributes of a dataset: what can be read, what an assignment does, and what is refused."""

import functools

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, get_worker_info

from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    BlockShuffling,
    CollectionError,
    HookError,
    LoaderError,
    ScDatasetError,
    StateError,
    Streaming,
    WorldError,
    scDataset,
)

DATA = np.arange(64.0).reshape(-1, 1)


def made(**options):
    return scDataset(**{"data_collection": DATA, "strategy": BlockShuffling(4), "batch_size": 8, "seed": 3, **options})


def rows_of(dataset, epoch=0):
    dataset.set_epoch(epoch)
    return [np.asarray(batch).ravel().tolist() for batch in dataset]


def test_all_that_the_constructor_takes_can_be_read():
    hooks = {
        "fetch_callback": lambda collection, rows: collection[rows],
        "fetch_transform": lambda fetched: fetched,
        "batch_callback": lambda fetched, positions: fetched[positions],
        "batch_transform": lambda batch: batch,
    }
    options = {"fetch_factor": 4, "drop_last": True, "rank": 1, "world_size": 2, "prefetch": 2, "uneven_ranks": True}
    dataset = made(**hooks, **options)
    assert {name: getattr(dataset, name) for name in (*hooks, *options)} == {**hooks, **options}
    assert dataset.collection is DATA
    assert (dataset.fetch_size, dataset.sort_before_fetch, dataset.seed) == (32, True, 3)
    assert [getattr(made(), hook) for hook in hooks] == [None] * 4


ASSIGNED = {
    "strategy": Streaming(indices=range(20)),
    "batch_size": 5,
    "fetch_factor": 2,
    "drop_last": 1,
    "uneven_ranks": True,
    "seed": 8,
    "collection": DATA[:50] * 2,
    "fetch_callback": lambda collection, rows: collection[rows] + 1,
    "fetch_transform": lambda fetched: fetched + 2,
    "batch_callback": lambda fetched, positions: fetched[positions] + 3,
    "batch_transform": lambda batch: batch + 4,
}
PARAMETERS = {"collection": "data_collection"}


@pytest.mark.parametrize("name", ASSIGNED)
def test_what_is_assigned_is_as_if_it_had_been_given(name):
    expected = made(**{PARAMETERS.get(name, name): ASSIGNED[name]})
    dataset = made()
    first = rows_of(dataset)
    setattr(dataset, name, ASSIGNED[name])
    assert len(dataset) == len(expected)
    for epoch in (0, 1):
        assert rows_of(dataset, epoch) == rows_of(expected, epoch)
    assert dataset.state_dict() == expected.state_dict()
    if name in ("uneven_ranks", "drop_last"):  # which show with ranks and rests only
        return
    assert rows_of(dataset) != first


def test_a_place_among_ranks_can_be_assigned_in_either_order():
    for names in (("rank", "world_size"), ("world_size", "rank")):
        dataset = made(batch_size=4, fetch_factor=2)
        for name in names:
            setattr(dataset, name, {"rank": 1, "world_size": 2}[name])
        assert rows_of(dataset) == rows_of(made(batch_size=4, fetch_factor=2, rank=1, world_size=2))
    dataset = made()
    dataset.rank = 1
    with pytest.raises(WorldError, match=r"rank=1 .* world_size=1"):
        len(dataset)
    with pytest.raises(LoaderError, match=r"assign dataset\.seed first"):
        made(seed=None).world_size = 2


def test_a_misspelt_hook_is_told_and_other_attributes_of_a_users_own_are_not():
    dataset = scDataset(np.arange(10), Streaming(), 2)
    with pytest.warns(UserWarning, match="no attribute 'batch_trasform'.*Did you mean 'batch_transform'"):
        dataset.batch_trasform = len
    dataset.transform = dataset.batch_sizes = dataset.name = 1
    assert dataset.batch_trasform is len
    assert dataset.name == 1


def test_fetch_size_is_another_way_to_say_fetch_factor():
    dataset = made()
    dataset.fetch_size = 24
    assert (dataset.fetch_factor, dataset.fetch_size) == (3, 24)
    with pytest.raises(ArgumentValueError, match="fetch_size=20 is no multiple of batch_size=8"):
        dataset.fetch_size = 20


def test_the_private_names_of_epoch_and_seed_that_scripts_know_have_their_effect():
    dataset = made()
    dataset._epoch, dataset._base_seed = 4, 9
    assert (dataset._epoch, dataset._base_seed, dataset.seed) == (4, 9, 9)
    assert [np.asarray(batch).ravel().tolist() for batch in dataset] == rows_of(made(seed=9), epoch=4)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("batch_size", 0, ArgumentValueError, "batch_size=0"),
        ("fetch_factor", 2.0, ArgumentTypeError, r"fetch_factor=2\.0"),
        ("drop_last", "no", ArgumentTypeError, "drop_last='no'"),
        ("seed", -1, ArgumentValueError, "seed=-1"),
        ("rank", -1, ArgumentValueError, "rank=-1"),
        ("strategy", Streaming, ArgumentTypeError, "the class Streaming"),
        ("strategy", Streaming(indices=[99]), IndexError, "row 99"),
        ("collection", 3, CollectionError, "int"),
        ("batch_transform", 3, ArgumentTypeError, "batch_transform=3"),
        ("fetch_transform", lambda: 0, TypeError, r"fetch_transform\(fetched\)"),
    ],
)
def test_a_wrong_value_is_refused_and_leaves_the_dataset_as_it_was(name, value, error, message):
    dataset = made()
    with pytest.raises(error, match=message):
        setattr(dataset, name, value)
    assert rows_of(dataset) == rows_of(made())


@pytest.mark.parametrize("name", ["sort_before_fetch", "mesh", "data_collection", "block_size", "indices", "epoch"])
def test_what_would_have_no_effect_is_refused(name):
    dataset = made()
    with pytest.raises(AttributeError, match=name) as caught:
        setattr(dataset, name, False)
    assert isinstance(caught.value, ScDatasetError)
    assert hasattr(dataset, name) == (name == "sort_before_fetch")


def test_a_subclass_has_attributes_of_its_own():
    class Mine(scDataset):
        def __init__(self, data, block_size):
            self.block_size = block_size
            super().__init__(data, BlockShuffling(block_size), 8)

    mine = Mine(DATA, 2)
    mine.note = "anything"
    assert (mine.block_size, mine.note) == (2, "anything")
    mine.sort_before_fetch = True


def test_a_running_iteration_goes_on_as_it_was():
    expected = [rows_of(made(), epoch) for epoch in (0, 1)]
    dataset = made()
    batches = iter(dataset)
    first = next(batches)
    dataset.batch_transform = torch.from_numpy
    dataset.batch_size, dataset.seed, dataset.collection = 5, 7, DATA * 2
    rest = list(batches)
    assert all(isinstance(batch, np.ndarray) for batch in rest)
    assert [batch.ravel().tolist() for batch in (first, *rest)] == expected[0]
    following = list(dataset)
    assert {type(batch) for batch in following} == {torch.Tensor}
    assert len(following) == 13


def test_a_state_is_of_the_epoch_that_runs_or_refused():
    dataset = made()
    next(iter(dataset))
    dataset.batch_transform = torch.from_numpy  # has no part in the order
    assert dataset.state_dict()["chain"]
    dataset.batch_size = 4
    with pytest.raises(StateError, match="since epoch 0 began"):
        dataset.state_dict()
    dataset.batch_size = 8  # an epoch that is the same again cannot be told from others
    batches = iter(dataset)
    next(batches)
    assert dataset.state_dict()["epoch"] == 1

    resumed = made()
    resumed.load_state_dict(dataset.state_dict())
    with pytest.raises(StateError, match="drop_last was assigned, and the loaded state"):
        resumed.drop_last = True
    resumed.batch_transform = torch.from_numpy
    assert [batch.numpy().tolist() for batch in resumed] == [batch.tolist() for batch in batches]


def kind_of_batches(loader):
    return {type(batch) for batch in loader}


def same(batch):
    return batch


def test_workers_that_start_later_have_what_was_assigned_and_running_ones_refuse():
    dataset = made(batch_transform=functools.partial(np.asarray, dtype="f4"))
    fresh = DataLoader(dataset, batch_size=None, num_workers=1, collate_fn=same)
    lasting = DataLoader(dataset, batch_size=None, num_workers=1, collate_fn=same, persistent_workers=True)
    assert kind_of_batches(fresh) == kind_of_batches(lasting) == {np.ndarray}
    dataset.batch_transform = torch.from_numpy
    assert kind_of_batches(fresh) == {torch.Tensor}
    with pytest.raises(LoaderError, match="Make a new DataLoader"):
        kind_of_batches(lasting)
    assert kind_of_batches(DataLoader(dataset, batch_size=None, num_workers=1)) == {torch.Tensor}


def assign_in_worker(_):
    get_worker_info().dataset.batch_transform = torch.from_numpy


def test_a_worker_init_fn_may_assign_hooks():
    loader = DataLoader(made(), batch_size=None, num_workers=2, collate_fn=same, worker_init_fn=assign_in_worker)
    assert [kind_of_batches(loader) for _ in range(2)] == [{torch.Tensor}] * 2


@pytest.mark.parametrize("name", ["fetch_callback", "fetch_transform", "batch_callback", "batch_transform"])
def test_a_hook_that_takes_other_arguments_is_refused_by_name(name):
    for wrong in (lambda: 0, lambda a, b, c: 0, functools.partial(lambda a, b, c, d: 0, 1)):
        with pytest.raises(HookError, match=rf"^{name} cannot be called as {name}\("):
            made(**{name: wrong})
    made(**{name: lambda *_, **__: 0})
    made(**{name: functools.partial(np.add, 1)})


def test_what_is_left_of_a_resumed_epoch():
    dataset = made()
    assert dataset.remaining == len(dataset) == 8
    batches = iter(dataset)
    for _ in range(3):
        next(batches)
    again = made()
    again.load_state_dict(dataset.state_dict())
    assert (again.remaining, len(again)) == (5, 8)
    assert len(list(again)) == 5
    assert again.remaining == len(again) == 8


def test_a_host_gives_rank_and_size_and_one_seed_where_none_was_given():
    def joined(rank, **options):
        dataset = scDataset(range(40), BlockShuffling(2), 4, 2, **options)
        dataset.join_world(rank, 2, lambda seed: 7)
        return dataset

    ranks = [joined(rank) for rank in range(2)]
    assert [(dataset.rank, dataset.world_size, dataset.seed) for dataset in ranks] == [(0, 2, 7), (1, 2, 7)]
    assert joined(1, seed=5).seed == 5
    other = scDataset(range(40), BlockShuffling(2), 4, 2, seed=9)
    ranks[0].load_state_dict(other.state_dict())
    assert ranks[0].seed == 9


def test_a_place_along_a_mesh_stays_where_a_host_gives_another():
    class Mesh:
        ndim = 1
        get_local_rank, size = staticmethod(lambda: 1), staticmethod(lambda: 2)

    dataset = scDataset(range(40), BlockShuffling(2), 4, 2, seed=0, mesh=Mesh())
    dataset.join_world(5, 8, lambda seed: seed)
    assert (dataset.rank, dataset.world_size) == (1, 2)
    with pytest.raises(WorldError, match="rank=3 is out of bounds for world_size=2"):
        scDataset(range(40), BlockShuffling(2), 4, 2, seed=0).join_world(3, 2, lambda seed: seed)

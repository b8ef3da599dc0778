"""Going on from a state, in real loaders with real workers."""

import json

import numpy as np
import pytest
import torch
from tests.examples import rare
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from scdataset import ArgumentValueError, BlockShuffling, StateError, Streaming, scDataset


def make(strategy=None, n=400, **options):
    strategy = BlockShuffling(4) if strategy is None else strategy
    return scDataset(np.arange(n), strategy, 7, 4, **{"seed": 3, **options})


def rows(batches):
    return [np.asarray(batch).tolist() for batch in batches]


def some(loader, count):
    """Return the first batches of a loop that is then broken."""
    found = []
    for batch in loader:
        found.append(batch)
        if len(found) == count:
            break
    return rows(found)


@pytest.mark.parametrize("strategy", [BlockShuffling(4), Streaming()])
def test_a_loader_with_workers_goes_on_with_the_batches_that_were_not_taken(strategy):
    """The state counts what was consumed, not what was prefetched."""
    reference = rows(DataLoader(make(strategy), None, num_workers=3))
    dataset = make(strategy)
    first = some(DataLoader(dataset, None, num_workers=3, prefetch_factor=4), 17)
    again = make(strategy)
    again.load_state_dict(json.loads(json.dumps(dataset.state_dict(17))))
    loader = DataLoader(again, None, num_workers=3)
    second = some(loader, 5)
    once_more = make(strategy)
    once_more.load_state_dict(again.state_dict(5))
    assert [*first, *second, *rows(DataLoader(once_more, None, num_workers=3))] == reference


def test_two_lines_of_a_training_script_survive_a_change_of_everything():
    """Epoch 1 is broken with 2 workers, gone on with by 2 ranks with 1 worker each, and finished by 3 bare ones."""
    dataset = make()
    list(dataset)
    found = some(DataLoader(dataset, None, num_workers=2), 11)
    state = dataset.state_dict(11)
    states = []
    for rank in range(2):
        there = make(rank=rank, world_size=2)
        there.load_state_dict(state)
        found += some(DataLoader(there, None, num_workers=1), 9)
        states.append(there.state_dict(9))
    assert states[0] == states[1]
    for rank in range(3):
        there = make(rank=rank, world_size=3)
        there.load_state_dict(states[0])
        found += rows(there)
    reference = make()
    reference.set_epoch(1)
    assert {tuple(batch) for batch in found} == {tuple(batch) for batch in rows(reference)}
    assert len(found) <= 58 + 2


def test_streaming_stays_in_order_with_another_number_of_workers():
    dataset = make(Streaming())
    first = some(DataLoader(dataset, None, num_workers=3), 10)
    again = make(Streaming())
    again.load_state_dict(dataset.state_dict(10))
    found = [*first, *rows(DataLoader(again, None, num_workers=2))]
    assert np.concatenate(found).tolist() == list(range(400))


@pytest.mark.parametrize("context", ["fork", "forkserver"])
def test_a_state_reaches_persistent_workers_that_are_running(context):
    dataset = make(seed=None)
    loader = DataLoader(
        dataset, None, num_workers=2, persistent_workers=True, multiprocessing_context=context, prefetch_factor=1
    )
    rows(loader)
    other = make(seed=11)
    expected = rows(other)[20:] + rows(other)
    dataset.load_state_dict(make(seed=11).state_dict(20, epoch=0))
    found = rows(loader) + rows(loader)
    assert sorted(found[:38]) == sorted(expected[:38])
    assert sorted(found[38:]) == sorted(expected[38:])


def test_with_workers_the_loop_has_to_say_how_many_batches_it_took():
    dataset = make()
    some(DataLoader(dataset, None, num_workers=2), 3)
    with pytest.raises(ArgumentValueError, match=r"2 DataLoader workers, .* Write state_dict\(batches\)"):
        dataset.state_dict()
    with pytest.raises(ArgumentValueError, match="num_workers=3, and the last iteration has 2"):
        dataset.state_dict(3, num_workers=3)
    with pytest.raises(ArgumentValueError, match="batches=59, and 58 are left"):
        dataset.state_dict(59)
    assert dataset.state_dict(58)["epoch"] == 1


def test_a_state_for_so_many_batches_is_computed_without_reading():
    dataset = make()
    some(DataLoader(dataset, None, num_workers=3), 17)
    assert make().state_dict(17, epoch=0, num_workers=3) == dataset.state_dict(17)


@pytest.mark.parametrize("num_workers", [0, 3, *rare(1)])
@pytest.mark.parametrize("taken", [17, *rare(0, 1, 58)])
def test_torchdatas_loader_goes_on_byte_for_byte(num_workers, taken):
    def loader():
        return StatefulDataLoader(make(), batch_size=None, num_workers=num_workers)

    reference = loader()
    expected = rows(reference) + rows(reference) + rows(reference)
    first = loader()
    found = (some(first, taken) if taken else []) if taken < 58 else rows(first)
    again = loader()
    again.load_state_dict(first.state_dict())
    found += rows(again) + rows(again)
    assert found == expected[: len(found)]
    assert len(found) == (116 if taken < 58 else 174)


def test_torchdatas_loader_survives_two_restarts():
    def loader():
        return StatefulDataLoader(make(), batch_size=None, num_workers=2)

    expected = rows(loader())
    first = loader()
    found = some(first, 10)
    second = loader()
    second.load_state_dict(first.state_dict())
    found += some(second, 23)
    third = loader()
    third.load_state_dict(second.state_dict())
    assert found + rows(third) == expected


def test_the_state_of_a_worker_is_refused_elsewhere_with_the_way_out():
    loader = StatefulDataLoader(make(), batch_size=None, num_workers=2)
    some(loader, 5)
    worker = loader.state_dict()["_snapshot"]["_worker_snapshots"]["worker_0"]["dataset_state"]
    with pytest.raises(StateError, match=r"a worker of a DataLoader \(2 workers, 1 rank\) .* by a whole rank"):
        make().load_state_dict(worker)
    other = StatefulDataLoader(make(rank=0, world_size=2), batch_size=None, num_workers=2)
    other.load_state_dict(loader.state_dict())
    with pytest.raises(StateError, match=r"1 rank\) and would be loaded by .* 2 ranks\)"):
        next(iter(other))


def test_torch_tensors_and_numpy_arrays_resume_alike():
    data = torch.arange(400)
    dataset, again = (scDataset(data, BlockShuffling(4), 7, 4, seed=3) for _ in range(2))
    first = some(dataset, 9)
    again.load_state_dict(dataset.state_dict())
    assert first + rows(again) == rows(make())

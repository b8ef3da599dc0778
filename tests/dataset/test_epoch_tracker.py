"""Progress of a dataset in one process."""

import pytest

from scdataset.dataset.epoch_tracker import EpochTracker
from scdataset.dataset.state import Identity, SavedState
from scdataset.errors import ArgumentValueError, StateError
from scdataset.schedule.partition import Partition
from scdataset.schedule.progress import Generation, Progress, RemainingEpoch

IDENTITY = Identity(100, 10, 2, False, False, "strategy", "collection")


def remaining_after(progress, n_workers=0):
    partition = Partition(100, 10, 2)
    return RemainingEpoch.from_progress(partition, progress, n_workers, in_order=False)


def begun(tracker):
    return tracker.begin(lambda begun: remaining_after(begun.progress, begun.n_workers))


def test_batches_that_were_given_are_the_progress():
    tracker = EpochTracker()
    assert tracker.progress(remaining_after, None, None, None) == Progress(0)
    iteration = begun(tracker)
    iteration.given = 3
    assert tracker.progress(remaining_after, None, None, None) == Progress(0, (Generation(1, 1, 3),))
    assert tracker.progress(remaining_after, 2, None, None).taken == 2
    assert tracker.progress(remaining_after, 4, 5, 0) == Progress(5, (Generation(1, 1, 4),))
    with pytest.raises(ArgumentValueError, match="batches=11, and 10 are left of epoch 0"):
        tracker.progress(remaining_after, 11, None, None)


def test_a_loaded_state_is_gone_on_with_and_the_length_is_that_of_the_whole_epoch():
    tracker = EpochTracker()
    assert tracker.total(remaining_after) is None
    saved = SavedState(Progress(4, (Generation(1, 1, 7),)), 0, IDENTITY, None)
    tracker.load(saved, 0, remaining_after)
    assert tracker.total(remaining_after) == 10
    iteration = begun(tracker)
    assert iteration.begun == saved.progress
    assert len(iteration.remaining) == 3


def test_a_state_is_not_loaded_while_an_iteration_runs():
    tracker = EpochTracker()
    iteration = begun(tracker)
    iteration.given = 2
    saved = SavedState(Progress(4), 0, IDENTITY, None)
    with pytest.raises(StateError, match="Epoch 0 is being iterated over, 2 batches in"):
        tracker.load(saved, 0, remaining_after)
    iteration.is_running = False
    tracker.load(saved, 0, remaining_after)
    assert begun(tracker).begun == Progress(4)


def test_a_state_of_a_worker_is_not_loaded_into_a_whole_rank():
    saved = SavedState(Progress(4), 0, IDENTITY, (0, 2, 1, 3))
    with pytest.raises(StateError, match=r"a worker of a DataLoader \(2 workers, 1 rank\) .* loaded by a whole rank"):
        EpochTracker().load(saved, 0, remaining_after)


def test_an_option_that_changes_the_order_is_refused_in_the_middle_of_a_loaded_epoch():
    tracker = EpochTracker()
    tracker.load(SavedState(Progress(4, (Generation(1, 1, 7),)), 0, IDENTITY, None), 0, remaining_after)
    tracker.change("batch_transform", 0, reorders=False)
    with pytest.raises(StateError, match="seed was assigned, and the loaded state goes on in the middle of epoch 4"):
        tracker.change("seed", 1, reorders=True)

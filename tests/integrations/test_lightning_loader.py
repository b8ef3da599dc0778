"""The loader of the data module: it knows how many batches the model has seen."""

from types import SimpleNamespace

import numpy as np
import pytest

from scdataset import BlockShuffling, scDataset
from scdataset.integrations.lightning_loader import CellLoader


def made(*, trains=True, trainer=None):
    dataset = scDataset(np.arange(100), BlockShuffling(4), 10, 2, seed=0)
    return CellLoader(dataset, options={}, trains=trains, trainer=trainer)


def epoch(loader):
    return [batch.tolist() for batch in loader]


def trainer(*, ready=0, processed=0, is_last=False):
    current = SimpleNamespace(ready=ready, started=ready, processed=processed, completed=processed)
    progress = SimpleNamespace(current=current, is_last_batch=is_last)
    fit_loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    return SimpleNamespace(fit_loop=fit_loop, is_last_batch=is_last, reload_dataloaders_every_n_epochs=0)


def test_epochs_of_training_differ_and_those_of_evaluation_do_not():
    training, evaluation = made(), made(trains=False)
    assert len(training) == 10
    assert epoch(training) != epoch(training)
    assert epoch(evaluation) == epoch(evaluation)
    training.set_epoch(0)
    assert epoch(training) == epoch(made())


def test_a_state_goes_on_after_the_batches_that_were_taken():
    loader, whole = made(), epoch(made())
    batches = iter(loader)
    taken = [next(batches).tolist() for _ in range(3)]
    again = made()
    again.load_state_dict(loader.state_dict())
    assert taken + epoch(again) == whole
    assert len(epoch(again)) == 10


def test_a_batch_that_is_in_the_model_comes_again():
    loader = made(trainer=trainer(ready=3, processed=2))
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    again = made()
    again.load_state_dict(loader.state_dict())
    assert epoch(again) == epoch(made())[2:]


def test_a_finished_epoch_is_gone_on_with_the_next_one():
    loader = made(trainer=trainer(ready=10, processed=10, is_last=True))
    epoch(loader)
    host = trainer(ready=7, processed=7, is_last=True)
    again = made(trainer=host)
    again.load_state_dict(loader.state_dict())
    assert host.fit_loop.epoch_loop.batch_progress.current.completed == 10
    second = made()
    epoch(second)
    assert epoch(again) == epoch(second)


def test_loading_a_state_ends_an_iteration_that_runs():
    loader = made()
    batches = iter(loader)
    next(batches)
    loader.load_state_dict(made().state_dict())
    with pytest.raises(StopIteration):
        next(batches)

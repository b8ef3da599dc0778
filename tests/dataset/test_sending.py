"""What cannot be sent between processes is an error that names the hook, at once."""

import functools
import pickle
import threading

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from scdataset import HookError, MultiIndexable, Streaming, scDataset
from scdataset.dataset.hooks import Hooks
from scdataset.dataset.sending import refuse_what_cannot_be_pickled

DATA = np.arange(24.0, dtype="f4").reshape(-1, 1)


def with_gradients(batch):
    return torch.from_numpy(batch) * torch.ones(1, requires_grad=True)


BATCHES = {
    "lambda": lambda batch: lambda: batch,
    "generator": lambda batch: (row for row in batch),
    "lock": lambda batch: {"x": batch, "lock": threading.Lock()},
    "tensor with gradients": with_gradients,
}


@pytest.mark.parametrize("kind", BATCHES)
def test_a_batch_that_cannot_be_pickled_is_an_error_that_names_the_hook(kind):
    hooks = Hooks(None, None, None, BATCHES[kind])
    with pytest.raises(HookError, match=r"The batch_transform gives batches .* num_workers=0"):
        refuse_what_cannot_be_pickled(BATCHES[kind](DATA), hooks)


def test_in_a_worker_it_is_raised_at_the_first_batch():
    class Locks:
        def __len__(self):
            return 8

        def __getitem__(self, rows):
            return np.array([threading.Lock() for _ in rows], object)

    with pytest.raises(HookError, match="The collection gives batches"):
        next(iter(DataLoader(scDataset(Locks(), Streaming(), 4), batch_size=None, num_workers=1)))


def test_the_content_of_arrays_and_tensors_is_not_copied_to_try_it():
    class Heavy(np.ndarray):
        def __reduce__(self):
            raise AssertionError

    refuse_what_cannot_be_pickled({"x": DATA.view(Heavy), "y": [torch.ones(3)]}, Hooks(None, None, None, None))


def test_a_collate_fn_may_turn_it_into_something_that_can():
    dataset = scDataset(DATA, Streaming(), 4, batch_transform=lambda batch: (row for row in batch))
    loader = DataLoader(dataset, batch_size=None, num_workers=1, collate_fn=list)
    assert [len(batch) for batch in loader] == [4] * 6


@pytest.mark.parametrize(
    "transform",
    [torch.from_numpy, lambda batch: MultiIndexable(x=batch, y=list("abcd")), lambda batch: {"x": batch, "n": None}],
)
def test_batches_that_can_be_sent_arrive(transform):
    loader = DataLoader(scDataset(DATA, Streaming(), 4, batch_transform=transform), batch_size=None, num_workers=1)
    assert len(list(loader)) == 6


def add(batch, more):
    return batch + more(batch)


@pytest.mark.filterwarnings("ignore:Got pickle error:UserWarning")  # torch's own, before it raises ours
@pytest.mark.parametrize("context", ["spawn", "forkserver"])
@pytest.mark.parametrize("hook", ["fetch_transform", "batch_transform"])
def test_a_lambda_is_named_where_workers_are_started_anew(context, hook):
    for function in (lambda batch: batch, functools.partial(add, more=lambda batch: batch)):
        dataset = scDataset(DATA, Streaming(), 4, **{hook: function})
        loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context=context)
        with pytest.raises(HookError, match=rf"{hook} is .*<lambda> .* top level of a module"):
            iter(loader)


def test_an_ordinary_copy_of_a_dataset_is_not_concerned():
    import copy

    dataset = scDataset(DATA, Streaming(), 4, batch_transform=lambda batch: batch)
    assert len(list(copy.deepcopy(dataset))) == 6
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(dataset)

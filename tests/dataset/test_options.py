"""Attributes of a dataset that can be assigned, and those that cannot."""

import functools

import pytest

from scdataset import ReadOnlyError, Streaming, scDataset
from scdataset.dataset.options import Refused, hook_option
from scdataset.errors import HookError


class Owner:
    batch_transform = hook_option()

    def change(self, name, **stored):
        self.changed = name
        vars(self).update(stored)


def test_an_assigned_hook_is_checked_and_stored():
    owner = Owner()
    owner.batch_transform = len
    assert owner.changed == "batch_transform"
    assert owner.batch_transform is len
    owner.batch_transform = None
    assert owner.batch_transform is None


@pytest.mark.parametrize("wrong", [lambda: None, lambda one, two: None, functools.partial(lambda one: one, 1)])
def test_a_hook_of_other_arguments_is_refused_with_its_signature(wrong):
    with pytest.raises(HookError, match=r"batch_transform cannot be called as batch_transform\(\w+\)"):
        Owner().batch_transform = wrong


def test_a_refused_name_says_what_to_do_and_is_free_for_subclasses():
    class Own(scDataset):
        """As a user makes one."""

        batch_sampler = Refused("give a strategy")

    data = Own([1, 2, 3], Streaming(), batch_size=1)
    with pytest.raises(AttributeError, match="'Own' object has no attribute 'batch_sampler'; give a strategy"):
        _ = data.batch_sampler
    data.batch_sampler = 5
    assert data.batch_sampler == 5


@pytest.mark.parametrize("name", ["block_size", "shuffle", "indices", "mesh"])
def test_a_refused_name_cannot_be_assigned_to_the_dataset_itself(name):
    data = scDataset([1, 2, 3], Streaming(), batch_size=1)
    with pytest.raises(ReadOnlyError, match=f"{name}=1 cannot be assigned"):
        setattr(data, name, 1)


def test_refused_names_are_attributes_of_their_own_in_a_subclass():
    class Own(scDataset):
        """As a user makes one."""

    data = Own([1, 2, 3], Streaming(), batch_size=1)
    data.block_size = 5
    assert not hasattr(data, "shuffle")

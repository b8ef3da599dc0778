"""What modalities look like after they were read, cut, moved to a device and sent on."""

import numpy as np
import pytest
import torch
from tests.collections.containers import BUILDERS
from tests.collections.reference import IDS, N_ROWS, X
from torch.utils.data import DataLoader, TensorDataset

from scdataset import ArgumentTypeError, BlockShuffling, CollectionError, MultiIndexable, Streaming, scDataset


@pytest.mark.parametrize("name", [name for name in BUILDERS if not name.startswith("Multi")])
def test_any_container_is_a_modality_and_stays_one_when_cut_again(built, name):
    container = built(name)
    if container.warning:
        with pytest.warns(UserWarning, match=container.warning):
            data = MultiIndexable(part=container.data)
    else:
        data = MultiIndexable(part=container.data)
    assert len(data) == N_ROWS
    for part in (data[5:12], data[np.arange(5, 12)], data[IDS // 7 == 1][-2:], data.read(IDS)[3:30][2:9]):
        expected = list(range(5, 12)) if len(part) == 7 else [12, 13]
        assert container.rows(part["part"]) == expected
    assert data["part"] is container.data


def test_a_container_is_warned_of_once(built):
    """Cutting batches from what was read must not warn again: warnings are errors here."""
    with pytest.warns(UserWarning, match="sparse by columns") as warned:
        data = MultiIndexable(x=built("scipy csc_matrix").data)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    list(scDataset(data, BlockShuffling(4), 3))


def test_samples_of_as_many_columns_as_rows_are_cut_by_row():
    """Two tensors of two rows each: a list that could be taken for two rows."""
    data = MultiIndexable(pairs=TensorDataset(torch.tensor(X), torch.tensor(IDS)))
    part = data[[4, 7]]
    assert len(part) == 2
    assert part[1:]["pairs"][1].tolist() == [7]


class Short:
    """A collection that returns a row too few."""

    def __len__(self):
        return N_ROWS

    def read(self, rows):
        return X[rows[1:]]

    def fingerprint(self):
        return "short"


def test_a_modality_that_returns_too_few_rows_is_refused():
    with pytest.raises(CollectionError, match="Reading 5 rows gave a ndarray that does not have that many"):
        MultiIndexable(x=Short())[:5]


class Pinnable:
    """What stands in for a tensor where memory cannot be pinned."""

    def __init__(self, *done):
        self.done = done

    def pin_memory(self):
        return Pinnable(*self.done, "pinned")

    def to(self, *args, **kwargs):
        return Pinnable(*self.done, args, kwargs)

    def __len__(self):
        return 2

    def __getitem__(self, rows):
        return self


def test_pin_memory_and_to_reach_what_is_inside():
    data = MultiIndexable(x=Pinnable(), inner=MultiIndexable(z=Pinnable()), unstructured={"genes": 3})
    moved = data.pin_memory().to("cuda", non_blocking=True)
    for pinnable in (moved["x"], moved["inner"]["z"]):
        assert pinnable.done == ("pinned", ("cuda",), {"non_blocking": True})
    assert moved.unstructured == {"genes": 3}
    assert data["x"].done == ()


def test_tensors_move_within_tuples_of_columns(built):
    pair = TensorDataset(torch.tensor(X), torch.arange(N_ROWS))
    moved = MultiIndexable(pair=pair, numbers=built("torch 1-D").data)[3:5].to("meta")
    assert {tensor.device.type for tensor in (*moved["pair"], moved["numbers"])} == {"meta"}


@pytest.mark.parametrize("name", ["list", "datasets None", "datasets torch"])
def test_what_has_no_tensor_is_refused(built, name):
    data = MultiIndexable({name: built(name).data})
    with pytest.raises(ArgumentTypeError, match=name):
        data[3:5].to("meta")


def test_numbers_become_tensors(built):
    data = MultiIndexable(numbers=built("numpy 1-D").data, tensors=list(torch.tensor(X)))
    moved = data.to(torch.float64)
    assert moved["numbers"].dtype == torch.float64
    part = moved[[7, 3]]
    assert np.array_equal(part["numbers"].numpy(), data["numbers"][[7, 3]])
    assert [(tensor.dtype, tensor[0].item()) for tensor in part["tensors"]] == [
        (torch.float64, X[7, 0]),
        (torch.float64, X[3, 0]),
    ]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_loader_that_pins_memory_only_warns_without_an_accelerator(built):
    if torch.accelerator.is_available():
        pytest.skip("memory is pinned here")
    container = built("torch 2-D")
    dataset = scDataset(MultiIndexable(x=container.data), Streaming(), 4)
    loader = DataLoader(dataset, batch_size=None, pin_memory=True, num_workers=1)
    with pytest.warns(UserWarning, match="pin_memory"):
        batches = list(loader)
    assert [row for batch in batches for row in container.rows(batch["x"])] == list(range(N_ROWS))

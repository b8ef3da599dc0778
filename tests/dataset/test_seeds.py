"""One seed for all ranks."""

import numpy as np
import torch

from scdataset import BlockShuffling, scDataset
from scdataset.dataset import seeds
from scdataset.schedule.rank_info import RankInfo


def test_a_seed_is_sent_from_a_device_that_a_backend_of_the_group_is_for(monkeypatch):
    """On several nodes too: the launcher's LOCAL_RANK counts within a node."""
    sent = []
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", lambda drawn, src, device: sent.append(device))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setenv("LOCAL_RANK", "3")
    for backends in ("cpu:gloo,cuda:gloo", "cpu:gloo,cuda:nccl", "cuda:nccl"):
        monkeypatch.setattr(torch.distributed, "get_backend_config", lambda backends=backends: backends)
        assert 0 <= seeds.drawn_seed(RankInfo(11, 16, has_group=True)) < 2**63
    monkeypatch.delenv("LOCAL_RANK")
    seeds.drawn_seed(RankInfo(11, 16, has_group=True))
    assert sent == [torch.device("cpu"), torch.device("cpu"), torch.device("cuda:3"), None]


def _order():
    return np.concatenate(list(scDataset(np.arange(1000), BlockShuffling(4), 10)))


def test_torch_repeats_the_order_of_a_dataset_without_a_seed():
    torch.manual_seed(0)
    first = _order()
    assert not np.array_equal(_order(), first)
    torch.manual_seed(0)
    assert np.array_equal(_order(), first)


def test_drawing_a_seed_is_one_draw_of_torch_and_nothing_else_moves_its_stream():
    torch.manual_seed(0)
    torch.randint(2**31, ())
    expected = torch.get_rng_state()
    torch.manual_seed(0)
    dataset = scDataset(np.arange(1000), BlockShuffling(4), 10)
    list(dataset)
    dataset.strategy.get_indices(range(1000))
    assert torch.equal(torch.get_rng_state(), expected)
    scDataset(np.arange(1000), BlockShuffling(4), 10, seed=1)
    assert torch.equal(torch.get_rng_state(), expected)

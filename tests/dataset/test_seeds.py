"""One seed for all ranks."""

import torch

from scdataset.dataset import seeds
from scdataset.schedule.world import World


def test_a_seed_is_sent_from_the_device_that_the_backend_needs(monkeypatch):
    """On several nodes too: the launcher's LOCAL_RANK counts within a node."""
    sent = []
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", lambda drawn, src, device: sent.append(device))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setenv("LOCAL_RANK", "3")
    for backend in ("gloo", "nccl", "cpu:gloo,cuda:nccl"):
        monkeypatch.setattr(torch.distributed, "get_backend", lambda backend=backend: backend)
        assert 0 <= seeds.drawn_seed(World(11, 16, has_group=True)) < 2**63
    monkeypatch.delenv("LOCAL_RANK")
    seeds.drawn_seed(World(11, 16, has_group=True))
    assert sent == [None, torch.device("cuda:3"), torch.device("cuda:3"), None]

"""One seed for all ranks, when the user gave none."""

import os

import torch
import torch.distributed

from scdataset._arguments import warn
from scdataset.schedule.rank_info import RankInfo

__all__ = ["drawn_seed"]


def drawn_seed(rank_info: RankInfo) -> int:
    """Draw a seed from torch's default generator, the same on every rank of a process group.

    ``torch.manual_seed`` and ``seed_everything`` repeat it. It is one draw, on every rank alike, so that ranks whose
    generators were in step stay so.
    """
    if rank_info.size == 1:
        return _drawn()
    if not rank_info.has_group:
        warn(
            f"seed=None with rank={rank_info.rank} of {rank_info.size} and no process group: ranks cannot agree on a "
            "random seed, so seed=0 is used. Give the same seed on every rank.",
        )
        return 0
    drawn, device = [_drawn()], _device_of_group(torch.distributed.get_backend_config())
    torch.distributed.broadcast_object_list(drawn, src=0, device=device)
    return drawn[0]


def _drawn() -> int:
    return int(torch.randint(2**63 - 1, (), device="cpu"))


def _device_of_group(backends: str) -> "torch.device | None":
    """Return where a process group sends from, by its backends, such as "cpu:gloo,cuda:nccl"; None leaves it to torch.

    From the CPU where it can. A group of NCCL alone sends from a GPU, and torch takes the current one, which is the
    first for every rank of a machine until somebody chose another; the launcher says which is this process's.
    """
    if "cpu:" in backends:
        return torch.device("cpu")
    local_rank = os.environ.get("LOCAL_RANK", "")
    if "nccl" not in backends or not local_rank.isdecimal():
        return None
    return torch.device("cuda", int(local_rank) % max(torch.cuda.device_count(), 1))

"""One seed for all ranks, when the user gave none."""

import secrets

from scdataset._arguments import warn
from scdataset.schedule.world import World

__all__ = ["drawn_seed"]


def drawn_seed(world: World) -> int:
    """Draw a seed from the operating system, the same on every rank of a process group."""
    if world.size == 1:
        return secrets.randbits(63)
    if not world.has_group:
        warn(
            f"seed=None with rank={world.rank} of {world.size} and no process group: ranks cannot agree on a random "
            "seed, so seed=0 is used. Give the same seed on every rank.",
        )
        return 0
    import torch.distributed  # noqa: PLC0415 only where a process group exists

    drawn = [secrets.randbits(63)]
    torch.distributed.broadcast_object_list(drawn, src=0)
    return drawn[0]

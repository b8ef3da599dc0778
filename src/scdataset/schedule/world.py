"""Who am I: the rank of this process and the number of ranks."""

import sys
from dataclasses import dataclass

from scdataset._arguments import whole
from scdataset.errors import ArgumentValueError

__all__ = ["World"]


@dataclass(frozen=True, slots=True)
class World:
    """One process among those that train together.

    Attributes
    ----------
    rank
        This process, from 0 to ``size - 1``.
    size
        Number of processes.
    has_group
        Whether a torch.distributed process group connects them, and they were read from it.
    """

    rank: int
    size: int
    has_group: bool = False

    @classmethod
    def of(cls, rank: int | None, world_size: int | None) -> "World":
        """Return the world that the arguments name, or else that of the process group, or else one of one process."""
        if (rank is None) != (world_size is None):
            message = f"rank={rank!r} and world_size={world_size!r}; give both, or neither to have them detected."
            raise ArgumentValueError(message)
        if rank is None or world_size is None:
            return cls._detected()
        size = whole("world_size", world_size, minimum=1)
        return cls(whole("rank", rank, minimum=0, maximum=size - 1), size)

    @classmethod
    def _detected(cls) -> "World":
        # Without an import of torch.distributed by somebody there is no process group.
        distributed = sys.modules.get("torch.distributed")
        if distributed is None or not distributed.is_available() or not distributed.is_initialized():
            return cls(0, 1)
        return cls(distributed.get_rank(), distributed.get_world_size(), has_group=True)

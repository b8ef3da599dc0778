"""The rank of this process and the number of ranks that share the data."""

import os
import sys
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from scdataset._arguments import optional_whole
from scdataset._tables import counted, verb
from scdataset.errors import ArgumentTypeError, ArgumentValueError, WorldError

__all__ = ["RankInfo"]


@runtime_checkable
class _Mesh(Protocol):
    """A torch `DeviceMesh`, which is not imported here."""

    ndim: int

    def get_local_rank(self) -> int: ...

    def size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class RankInfo:
    """One process among those that train together.

    Attributes
    ----------
    rank
        This process, from 0 to ``size - 1``; with a mesh, its place along the mesh.
    size
        Number of processes that share the data.
    has_group
        Whether a torch.distributed process group connects them, and they were read from it.
    is_given
        Whether arguments named them, so that they stay whatever becomes of the process group.
    along_mesh
        Whether they are those along a mesh, and other processes get the same data.
    """

    rank: int
    size: int
    has_group: bool = False
    is_given: bool = False
    along_mesh: bool = False

    @classmethod
    def from_arguments(cls, rank: int | None, world_size: int | None, mesh: object = None) -> "RankInfo":
        """Return the rank that the arguments name, or else the process group, or else the launcher, or one process.

        Parameters
        ----------
        rank, world_size
            None to detect it. ``world_size=1`` alone is a process that shares with no other.
        mesh
            A torch ``DeviceMesh`` of one dimension, the data-parallel one, in place of them.
        """
        rank = optional_whole("rank", rank, minimum=0)
        world_size = optional_whole("world_size", world_size, minimum=1)
        if mesh is not None:
            return cls._from_mesh(mesh, rank, world_size)
        if rank is not None and world_size is not None:
            return cls(rank, world_size, is_given=True).checked()
        detected = cls._from_group() or cls._from_launcher() or cls(0, 1)
        if rank in (None, detected.rank) and world_size in (None, detected.size):
            return replace(detected, is_given=world_size == 1)
        if world_size is not None and world_size != 1:
            message = (
                f"world_size={world_size} without a rank, and {counted(detected.size, 'process')} "
                f"{verb(detected.size, 'are')} detected; give rank too, or initialise torch.distributed first."
            )
            raise WorldError(message)
        return cls(rank or 0, world_size or detected.size, detected.has_group, is_given=True).checked()

    def checked(self) -> "RankInfo":
        """Return this object if its rank is within bounds.

        Raises
        ------
        WorldError
            If it is not.
        """
        if not 0 <= self.rank < self.size:
            message = (
                f"rank={self.rank} is out of bounds for world_size={self.size}; give an integer of at least 0 and at "
                f"most {self.size - 1}."
            )
            raise WorldError(message)
        return self

    def now(self) -> "RankInfo":
        """Return the current rank and size: a process group may have been initialised since."""
        return self if self.is_given else self._from_group() or self

    @classmethod
    def _from_mesh(cls, mesh: object, rank: int | None, world_size: int | None) -> "RankInfo":
        if rank is not None or world_size is not None:
            message = f"rank={rank!r}, world_size={world_size!r} and a mesh; give one or the other."
            raise ArgumentValueError(message)
        if not isinstance(mesh, _Mesh):
            message = f"mesh={mesh!r} is of type {type(mesh).__name__}; give a torch DeviceMesh of one dimension."
            raise ArgumentTypeError(message)
        if mesh.ndim != 1:
            names = getattr(mesh, "mesh_dim_names", None)
            message = (
                f"mesh has {counted(mesh.ndim, 'dimension')}, {names}; give the one along which data is "
                'shared out, such as mesh["dp"]: ranks that differ in the others get the same batches.'
            )
            raise ArgumentValueError(message)
        return cls(mesh.get_local_rank(), mesh.size(), has_group=True, is_given=True, along_mesh=True)

    @classmethod
    def _from_group(cls) -> "RankInfo | None":
        # Without an import of torch.distributed by somebody there is no process group.
        distributed = sys.modules.get("torch.distributed")
        if distributed is None or not distributed.is_available() or not distributed.is_initialized():
            return None
        return cls(distributed.get_rank(), distributed.get_world_size(), has_group=True)

    @classmethod
    def _from_launcher(cls) -> "RankInfo | None":
        """Return the values that a launcher such as torchrun sets in the environment."""
        given = [os.environ.get(name) for name in ("RANK", "WORLD_SIZE")]
        if None in given:
            return None
        try:
            rank, size = (int(value) for value in given if value is not None)
        except ValueError:
            rank, size = 0, 0
        if not 0 <= rank < size:
            message = (
                f"The environment has RANK={given[0]!r} and WORLD_SIZE={given[1]!r}, which is no rank of a world. "
                "Unset them, set them as torchrun does, or give rank and world_size."
            )
            raise ArgumentValueError(message)
        return cls(rank, size)

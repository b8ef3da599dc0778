"""Actors: work shared out among processes of a Ray cluster, and done again where one is lost."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError

from scdataset._arguments import optional_whole, whole
from scdataset.errors import ScDatasetError
from scdataset.integrations.ray.nodes import naming_node, use_assigned_cpus

__all__ = ["Actors"]

T = TypeVar("T")
U = TypeVar("U")

_TRIES = 5
"""How often an item is tried whose process is lost: it may be the item that ends it, as where memory is short."""


@dataclass(frozen=True, slots=True)
class Actors:
    """Processes of a Ray cluster that convert cells, or compute statistics over them: ``engine=Actors(...)``.

    Ray is started on this machine if it is not running, as by ``ray.init()``. A process that is lost is replaced, and
    its work done again by whichever is free, so that as long as one is left the work goes on.

    Parameters
    ----------
    count
        Number of processes; None for as many as the CPUs of the cluster allow when the work begins.
    num_cpus
        CPUs of each, and threads that it reads and decodes with.
    memory
        Bytes of memory that Ray reserves for each; None for no reservation.

    Examples
    --------
    >>> convert("plates/*.h5ad", "plates.zarr", engine=Actors(count=64, num_cpus=2))  # doctest: +SKIP
    """

    count: int | None = None
    num_cpus: int = 1
    memory: int | None = None

    def __post_init__(self) -> None:
        optional_whole("count", self.count, minimum=1)
        whole("num_cpus", self.num_cpus, minimum=1)
        optional_whole("memory", self.memory, minimum=1)

    def each(self, work: Callable[[T], U], items: Sequence[T]) -> Iterator[tuple[int, U]]:
        """Call ``work`` with each item; yield the number of the item and the result.

        Raises
        ------
        ScDatasetError
            Of the work, as in this process. Other errors come as Ray's.
        ray.exceptions.RayError
            If five processes one after the other are lost at the same item; it says how the last one ended.
        """
        if not ray.is_initialized():
            ray.init()
        pool = _Pool(self, ray.put(ray.cloudpickle.dumps(work)))  # arrays in Ray's own memory cannot be written to
        try:
            for _ in range(min(self._count(), len(items))):
                pool.start()
            yield from pool.results(items)
        except RayTaskError as error:
            if isinstance(error.cause, ScDatasetError):
                raise error.cause from error
            raise
        finally:
            pool.close()

    def _count(self) -> int:
        if self.count is not None:
            return self.count
        return max(int(ray.cluster_resources().get("CPU", 1)) // self.num_cpus, 1)


class _Worker:
    """The actor; its work opens files when it is first called."""

    def __init__(self, work: bytes) -> None:
        use_assigned_cpus()
        self._work = ray.cloudpickle.loads(work)

    def ready(self) -> None:
        """Return once the process is there."""

    def do(self, item: object) -> object:
        """Do the work."""
        with naming_node():
            return self._work(item)


class _Pool:
    """Actors and their calls.

    ``ray.util.ActorPool`` waits for the actor that has an item, even where its machine is gone for good; this one gives
    the item to another.
    """

    def __init__(self, actors: Actors, work: object) -> None:
        options = {"num_cpus": actors.num_cpus, "memory": actors.memory}
        remote = ray.remote(_Worker)
        self._new: Callable[[], ActorHandle] = lambda: remote.options(**options).remote(work)
        self._actors: list[ActorHandle] = []
        self._calls: dict[ray.ObjectRef, tuple[ActorHandle, int | None]] = {}

    def start(self) -> None:
        """Start an actor, which gets an item when its process is there."""
        actor = self._new()
        self._actors.append(actor)
        self._calls[actor.ready.remote()] = (actor, None)

    def results(self, items: Sequence[object]) -> Iterator[tuple[int, Any]]:
        """Yield the number of each item and its result, as they are done."""
        left, idle = deque(range(len(items))), deque[ActorHandle]()
        lost: Counter[int | None] = Counter()
        n_done = 0
        while n_done < len(items):
            while idle and left:
                actor, number = idle.popleft(), left.popleft()
                self._calls[actor.do.remote(items[number])] = (actor, number)
            [call], _ = ray.wait(list(self._calls), num_returns=1)
            actor, done = self._calls.pop(call)
            try:
                result = ray.get(call)
            except RayTaskError:
                raise
            except RayError:  # the process or its machine is gone, or was short of memory
                lost[done] += 1
                if lost[done] >= _TRIES:
                    raise
                left.extendleft([] if done is None else [done])
                self._replace(actor)
                continue
            idle.append(actor)
            lost[None] = 0  # a process came up
            if done is not None:
                n_done += 1
                yield done, result

    def _replace(self, actor: ActorHandle) -> None:
        self._actors.remove(actor)
        ray.kill(actor)
        self.start()

    def close(self) -> None:
        """End all actors."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors.clear()

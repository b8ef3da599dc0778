"""Work in other processes, on other machines too."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["Cluster", "cluster_of", "in_order"]

T = TypeVar("T")
U = TypeVar("U")


@runtime_checkable
class Cluster(Protocol):
    """Processes that share work."""

    def each(self, work: Callable[[T], U], items: Sequence[T]) -> Iterator[tuple[int, U]]:
        """Call ``work`` with each item, in whichever process is free.

        Parameters
        ----------
        work
            Is sent once to each process. Its results depend on the item alone, since another process does the items
            again that a lost one had begun.
        items
            Each is sent with its call.

        Yields
        ------
        int
            The number of an item, as soon as it is done.
        object
            Its result.
        """
        ...


def cluster_of(engine: object) -> Cluster | None:
    """Return the cluster that an argument ``engine`` stands for; None for this process.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        If it stands for none.
    MissingDependencyError
        If Ray is wanted and not installed, or too old.
    """
    if engine is None or isinstance(engine, Cluster):
        return engine
    allowed = 'give None for this process, "ray", or scdataset.integrations.ray.Actors(...)'
    if not isinstance(engine, str):
        message = f"engine={engine!r} is of type {type(engine).__name__}; {allowed}."
        raise ArgumentTypeError(message)
    if engine != "ray":
        message = f"engine={engine!r} is not known; {allowed}."
        raise ArgumentValueError(message)
    from scdataset.integrations.ray import Actors  # noqa: PLC0415 Ray is optional

    cluster: Cluster = Actors()
    return cluster


def in_order(results: Iterable[tuple[int, T]]) -> Iterator[T]:
    """Yield results in the order of their numbers, each as soon as all before it are there."""
    waiting: dict[int, T] = {}
    following = 0
    for number, result in results:
        waiting[number] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1

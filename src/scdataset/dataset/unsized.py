"""Collections that have no length: the indices of the strategy say which rows there are."""

from scdataset.errors import CollectionError
from scdataset.strategy.base import SamplingStrategy

__all__ = ["Unsized", "has_length"]


def has_length(source: object) -> bool:
    """Return whether the rows of ``source`` can be counted."""
    return hasattr(type(source), "__len__") or bool(getattr(source, "shape", ()))


class Unsized:
    """A collection without a length, as strategies see it: one that ends with the last row of ``indices``.

    Parameters
    ----------
    source
        The collection, read by a ``fetch_callback``.
    strategy
        The strategy that has the indices.

    Raises
    ------
    CollectionError
        If it has none.
    """

    def __init__(self, source: object, strategy: SamplingStrategy) -> None:
        indices = strategy.indices
        if indices is None:
            message = (
                f"The collection is of type {type(source).__qualname__}, which has no length, so that its rows are "
                "not known. Say which there are, Streaming(indices=...), or give an object with __len__."
            )
            raise CollectionError(message)
        self._source = source
        self._n_rows = int(indices[-1]) + 1 if len(indices) else 0

    def __len__(self) -> int:
        return self._n_rows

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

"""ClassBalancedSampling: every class equally likely."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset.strategy.labels import encode_labels
from scdataset.strategy.selection import AlignedTo
from scdataset.strategy.weighted import BlockWeightedSampling

__all__ = ["ClassBalancedSampling"]


class ClassBalancedSampling(BlockWeightedSampling):
    """Rows drawn so that every class is equally likely, read in blocks of neighbours.

    A row weighs one over the number of labels of its class. Only a code a row is kept: 1 or 2 bytes, and nothing where
    labels already are small integers or categories.

    Parameters
    ----------
    labels
        Class of each row: strings, integers, booleans or categories; one a row of the collection or one an index. With
        one a row of the collection, classes are balanced over the whole collection and ``indices`` picks from it; with
        one an index, they are balanced within ``indices``.
    block_size, indices, total_size, replace, sampling_size, aligned_to
        As in `BlockWeightedSampling`.

    Examples
    --------
    >>> strategy = ClassBalancedSampling(["T"] * 90 + ["B"] * 10, total_size=10_000)
    >>> rows = strategy.get_indices(range(100), seed=0)
    >>> bool(abs(np.mean(rows >= 90) - 0.5) < 0.03)
    True
    """

    _values_name = "labels"

    def __init__(
        self,
        labels: ArrayLike | Sequence[Hashable],
        block_size: int = 8,
        indices: ArrayLike | range | None = None,
        total_size: int | None = None,
        replace: bool = True,  # noqa: FBT001, FBT002 the API that users have
        sampling_size: int | None = None,
        *,
        aligned_to: AlignedTo = "auto",
    ) -> None:
        super().__init__(block_size, indices, None, total_size, replace, sampling_size, aligned_to=aligned_to)
        encoded = encode_labels(labels)
        self._values = encoded.codes
        self._offset = encoded.offset
        self._table = np.divide(1.0, encoded.counts, out=np.zeros(encoded.counts.size), where=encoded.counts > 0)
        self._classes = encoded.classes

    @property
    def labels(self) -> NDArray[Any]:
        """The label of each entry, shape ``(n_labels,)``, decoded on each access."""
        return self._classes[self._codes]

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weight of each entry, shape ``(n_labels,)``, computed on each access; a class weighs 1 in all."""
        assert self._table is not None  # noqa: S101 set in the constructor
        return self._table[self._codes]

    @property
    def _codes(self) -> NDArray[np.intp]:
        assert self._values is not None  # noqa: S101 set in the constructor
        return self._values.astype(np.intp) - self._offset

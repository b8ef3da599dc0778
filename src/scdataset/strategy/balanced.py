"""ClassBalancedSampling: every class equally likely."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import warn
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.strategy.labels import ClassCodes, encode_labels
from scdataset.strategy.selection import AlignedTo, Rows
from scdataset.strategy.weighted import BlockWeightedSampling
from scdataset.strategy.weights import Weights

__all__ = ["ClassBalancedSampling"]


class ClassBalancedSampling(BlockWeightedSampling):
    """Rows drawn so that every class is equally likely, read in blocks of neighbours.

    A row weighs one over the number of labels of its class among the rows that are drawn from: ``indices``, or all. To
    balance over the whole collection and draw from a part, give its ``weights`` to `BlockWeightedSampling`. Only a code
    a row is kept: 1 or 2 bytes, and nothing where labels already are small integers or categories.

    Parameters
    ----------
    labels
        Class of each row: strings, integers, booleans or categories; one a row of the collection or one an index. Those
        of a pandas Series are found by its index, as weights are. Rows that are not drawn from may lack a label. Of
        floats each is a class, with a `UserWarning` if they are fractional, and a row with NaN is never drawn, with a
        `UserWarning`; other missing labels are refused.
    block_size, indices, total_size, replace, sampling_size, aligned_to
        As in `BlockWeightedSampling`.

    Examples
    --------
    >>> strategy = ClassBalancedSampling(["T"] * 90 + ["B"] * 10, total_size=10_000)
    >>> rows = strategy.get_indices(range(100), seed=0)
    >>> bool(abs(np.mean(rows >= 90) - 0.5) < 0.03)
    True
    """

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
        self.labels = labels

    @property
    def labels(self) -> Array:
        """The label of each entry, shape ``(n_labels,)``, decoded on each access; None where it is missing.

        An assigned value takes effect in the next epoch.
        """
        return self._encoded.labels()

    @labels.setter
    def labels(self, labels: ArrayLike | Sequence[Hashable]) -> None:
        encoded = encode_labels(labels)
        is_float = encoded.classes.dtype.kind == "f"
        if self._selection.count in (None, encoded.codes.size):
            _check_missing(encoded, is_float=is_float)
        self._keep("labels", labels, encoded.codes)
        self._encoded, self._is_float = encoded, is_float
        self._table = self._weights_of(encoded.counts)

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """The weight of each entry, divided by their sum, shape ``(n_labels,)``, computed on each access.

        Assigned labels replace these in the next epoch.
        """
        if self._table is None:
            return self._normalised()
        table = self._table if self._prepared is None else self._prepared.weights.table
        weights = table[self._encoded.codes.astype(np.intp) - self._encoded.offset]
        normalised: NDArray[np.float64] = weights / weights.sum()
        return normalised

    @weights.setter
    def weights(self, weights: ArrayLike | None) -> None:
        self._keep_weights(weights)

    def _tabled(self, values: Array, lookup: Rows) -> Callable[[], Weights]:
        if self._table is None:
            return super()._tabled(values, lookup)
        drawn_from = replace(self._encoded, codes=values).at(lookup)
        if drawn_from.counts is not self._encoded.counts:  # and was not checked before
            _check_missing(drawn_from, is_float=self._is_float)
        return partial(Weights.from_values, values, lookup, self._weights_of(drawn_from.counts), self._encoded.offset)

    def _weights_of(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weight of each class; at the end that of missing labels, whose code is -1, if there are any."""
        if self._encoded.n_missing:
            counts = np.append(counts, 0)
        return np.divide(1.0, counts, out=np.zeros(counts.size), where=counts > 0)

    def _arrays(self) -> Iterator[Array | Rows]:
        yield from super()._arrays()
        if self._table is not None and self._selection.count not in (None, self._encoded.codes.size):
            yield np.array("balanced over indices")


def _check_missing(encoded: ClassCodes, *, is_float: bool) -> None:
    if not is_float:
        encoded.refuse_missing("labels")
    elif encoded.n_missing:
        warn(
            f"labels has {counted(encoded.n_missing, 'missing value')} (NaN) among {encoded.codes.size:,}: rows "
            "without a label are never drawn. Leave them out with indices to silence this.",
        )

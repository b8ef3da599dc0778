"""Values binned by the quantiles of their cell."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from scdataset._arguments import one_of, whole
from scdataset.strategy.row_keys import RowKeys
from scdataset.transforms.base import Transform
from scdataset.transforms.bin_kernels import bin_rows
from scdataset.transforms.matrices import as_canonical_csr, as_floats, is_sparse, matrix_of, with_data, with_matrix
from scdataset.transforms.row_keys import checked_keys, drawn
from scdataset.transforms.values import check_values

__all__ = ["BinValues"]


@dataclass(frozen=True, eq=False)
class BinValues(Transform):
    """Replace the values of every cell by the numbers of their quantile bins; zeros stay zeros.

    Parameters
    ----------
    n_bins
        Number of bins, including that of zeros: all other values get 1 to ``n_bins - 1``.
    mode
        ``"scgpt"``: a value that equals several edges, as many counts do, comes into one of their bins by chance. The
        chance is that of (seed, epoch, row, gene). ``"deterministic"``: it comes into the first of them, as for
        Tahoe-x1.
    stream
        Another number gives other random bins.

    References
    ----------
    Cui et al. 2024, scGPT, Nature Methods 21.

    Examples
    --------
    >>> BinValues(n_bins=4, mode="deterministic")(np.array([[0.0, 3.0, 1.0, 2.0]]))
    array([[0, 3, 1, 2]], dtype=int32)
    """

    n_bins: int = 51
    mode: Literal["scgpt", "deterministic"] = "scgpt"
    stream: int = 0

    runs_ahead = True

    def __post_init__(self) -> None:
        whole("n_bins", self.n_bins, minimum=3)
        whole("stream", self.stream, minimum=0)
        one_of("mode", self.mode, allowed=("scgpt", "deterministic"))

    @property
    def needs_keys(self) -> bool:
        """Whether it has to be given the keys of the rows."""
        return self.mode == "scgpt"

    def __call__(self, value: object, keys: RowKeys | None = None) -> Any:
        """Return ``value`` with the bins as X, int32: a `MultiIndexable`, a dict, AnnData, CSR or a dense array.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If it is something else, has values that are negative or not finite, or keys are needed and not given.
        """
        matrix = matrix_of(value, "BinValues")
        rows = as_canonical_csr(matrix)
        check_values("BinValues", rows, "counts or their logarithms, which are finite and not negative", least=0)
        drawn_keys, data = np.zeros(rows.shape[0], np.uint64), as_floats(rows)
        if self.needs_keys:
            drawn_keys = drawn(checked_keys(self, keys, rows.shape[0]), "bins", self.stream)
        else:
            data = data.astype(np.float32, copy=False)
        data = np.ascontiguousarray(data)
        bits = data.view(f"u{data.itemsize}")
        longest = int(np.diff(rows.indptr).max(initial=0))
        bins = bin_rows(data, bits, rows.indices, rows.indptr, drawn_keys, self._grades(), self.needs_keys, longest)
        binned = with_data(rows, bins)
        return with_matrix(value, binned if is_sparse(matrix) else binned.toarray())

    def _grades(self) -> NDArray[np.float64]:
        n_edges = self.n_bins - 1
        if self.needs_keys:
            return np.linspace(0, 1, n_edges)
        return torch.linspace(0, 1, n_edges, dtype=torch.float32).numpy().astype(np.float64)

"""Means and variances of genes, over the cells of each group."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset.pp.kernels import add_moments
from scdataset.pp.streaming import Cells, Window

__all__ = ["Moments", "moments_of"]


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the cells of each group.

    Attributes
    ----------
    sizes
        Number of cells, shape ``(n_groups,)``.
    sums, squares
        Sums of values and of their squares, shape ``(n_groups, n_vars)``, float64.
    """

    sizes: NDArray[np.int64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]

    def mean_and_variance(self, group: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and unbiased variance of every gene in a group."""
        return _mean_and_variance(int(self.sizes[group]), self.sums[group], self.squares[group])

    def of_all(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and unbiased variance of every gene over the cells of all groups."""
        return _mean_and_variance(int(self.sizes.sum()), self.sums.sum(axis=0), self.squares.sum(axis=0))


def moments_of(
    cells: Cells,
    groups: NDArray[np.int64],
    n_groups: int,
    prepare: Callable[[Any], Any],
    *,
    progress: bool,
) -> Moments:
    """Add up the values of every gene in every group, in one pass.

    Parameters
    ----------
    cells
        The cells.
    groups
        The group of each, shape ``(n_rows,)``.
    prepare
        Checks a window, CSR, and returns its values as they are to be added, shape ``(n_stored,)``.
    """
    sums, squares = (np.zeros((n_groups, cells.n_vars)) for _ in range(2))

    def work(window: Window) -> None:
        rows, own = window.matrix, groups[window.places]
        add_moments(rows.indptr, rows.indices, prepare(rows), own, np.argsort(own, kind="stable"), sums, squares)

    cells.each("Means and variances of genes", work, progress=progress)
    return Moments(np.bincount(groups, minlength=n_groups), sums, squares)


def _mean_and_variance(
    n_cells: int, sums: NDArray[np.float64], squares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Do as scanpy, step by step, so that sums of whole numbers give the same bits."""
    mean = sums / n_cells
    variance = squares / n_cells - mean**2
    if n_cells != 1:
        variance *= n_cells / (n_cells - 1)
    return mean, variance

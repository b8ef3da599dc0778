"""Means and variances of genes, over the cells of each group."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scdataset._types import Array
from scdataset.pp.kernels import add_moments
from scdataset.pp.streaming import Cells, Pass, Window
from scdataset.transforms.matrices import Csr

__all__ = ["Moments", "Sums", "SumsPass", "moments_of"]

Sums = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Sums of values and of their squares, each of shape ``(n_groups, n_vars)``."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SumsPass(Pass[Sums]):
    """A pass that adds up values and their squares, by gene and group; the group of each cell is given.

    Attributes
    ----------
    shape
        Numbers of groups and of genes.
    """

    shape: tuple[int, int]

    def begin(self, n_rows: int) -> Sums:  # noqa: ARG002 cells have no values of their own
        """Return zeros."""
        return np.zeros(self.shape), np.zeros(self.shape)

    def add(self, totals: Sums, window: Window) -> None:
        """Add a window."""
        own = np.asarray(self.given)[window.places]
        self.add_rows(totals, window.matrix, own, np.argsort(own, kind="stable"))

    @abstractmethod
    def add_rows(self, totals: Sums, matrix: Csr, groups: Array, order: NDArray[np.int64]) -> None:
        """Add the rows of a matrix, CSR, in an order that brings those of a group together."""

    def join(self, totals: Sums, part: Sums, places: slice) -> None:  # noqa: ARG002 as above
        """Add sums."""
        for total, more in zip(totals, part, strict=True):
            np.add(total, more, out=total)


@dataclass(frozen=True, slots=True, kw_only=True)
class _MomentsPass(SumsPass):
    """The sums of values as ``prepare`` returns them, shape ``(n_stored,)``, given a window, CSR, which it checks."""

    prepare: Callable[[Csr], Array]

    def add_rows(self, totals: Sums, matrix: Csr, groups: Array, order: NDArray[np.int64]) -> None:
        """Add the rows of a window."""
        add_moments(matrix.indptr, matrix.indices, self.prepare(matrix), groups, order, *totals)


def moments_of(
    cells: Cells,
    groups: NDArray[np.int64],
    n_groups: int,
    prepare: Callable[[Csr], Array],
    *,
    progress: bool,
    engine: object = None,
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
    progress, engine
        As in `Cells.over`.
    """
    work = _MomentsPass(shape=(n_groups, cells.n_vars), prepare=prepare, given=groups)
    sums, squares = cells.over("Means and variances of genes", work, progress=progress, engine=engine)
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

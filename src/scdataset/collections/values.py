"""The kind of values in a matrix: counts, or counts that were normalised, logged or scaled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from scdataset._arguments import whole
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.engine.matrices.parts import MatrixRows

__all__ = ["ValueKind", "are_logarithms", "kind_of_values", "kinds_joined", "sampled_rows"]

Kind = Literal["counts", "log-normalised", "normalised", "scaled", "mixed", "unknown"]

_ROWS = 512
"""Rows of a sample, about."""

_FEWEST_OF_FILE = 8
"""Rows of a file at least."""

_ALIKE = 1e-3
"""Relative spread up to which sums count as equal: values of half precision give 3e-4."""

_LARGEST_LOGARITHM = 20.0
"""A logarithm of anything that is counted in a cell is below this, also to the base 2."""

_BASES = (np.e, 2.0, 10.0)

_TRIED = 16
"""Rows that are looked at to recognise logarithms."""


@dataclass(frozen=True, slots=True)
class ValueKind:
    """The kind of values in a sample of cells, and the evidence for it.

    Attributes
    ----------
    kind
        ``"counts"``: whole numbers, none negative. ``"scaled"``: some are negative. ``"log-normalised"``: the sums of
        exp(x) - 1 over the genes of each cell are all about the same, also to the base 2 or 10; or values are
        fractional and at most 20, as of chosen genes. ``"normalised"``: other fractional values, such as of cells that
        have the same sum. ``"mixed"``: files differ, see ``by_file``. ``"unknown"``: some are missing or infinite, or
        all are zero.
    n_cells
        Number of cells in the sample.
    whole
        Fraction of the non-zero values that are whole numbers; NaN if all are zero.
    minimum, maximum
        Of all values, zeros included.
    spread
        Standard deviation of the sums of the cells, divided by their mean; cells of zeros are left out.
    spread_unlogged
        The same of the sums of exp(x) - 1, or of base ** x - 1 where that is smaller for the base 2 or 10; NaN for
        values that are no logarithms: whole, negative or above 20.
    by_file
        Kind by path, if files differ.
    """

    kind: Kind
    n_cells: int
    whole: float
    minimum: float
    maximum: float
    spread: float
    spread_unlogged: float
    by_file: Mapping[str, Kind] = field(default_factory=dict)

    def __str__(self) -> str:
        range_ = f"values go from {self.minimum:.6g} to {self.maximum:.6g}"
        whole = f"{100 * self.whole:.4g}% of the non-zero values are whole numbers"
        spread = f"the sums of cells spread by {self.spread:.2g} of their mean"
        unlogged = f", and those of exp(x) - 1 by {self.spread_unlogged:.2g}"
        sums = spread + ("" if np.isnan(self.spread_unlogged) else unlogged)
        found = [("" if np.isnan(self.whole) else whole), range_, ("" if np.isnan(self.spread) else sums)]
        files = "".join(f"\n  {kind}: {path}" for path, kind in self.by_file.items())
        return f"{self.kind}, by {counted(self.n_cells, 'cell')}: {'; '.join(filter(None, found))}.{files}"


def sampled_rows(sizes: Sequence[int], seed: int) -> list[NDArray[np.int64]]:
    """Return a few hundred rows of a collection, by file, ascending: of many files those of some.

    Parameters
    ----------
    sizes
        Number of cells of each file.
    seed
        Of the choice.
    """
    rng = np.random.default_rng(whole("seed", seed, minimum=0))
    firsts = np.cumsum(sizes) - sizes
    there = np.flatnonzero(sizes)
    files = np.sort(rng.choice(there, min(there.size, _ROWS // _FEWEST_OF_FILE), replace=False))
    share = _ROWS / max(sum(sizes[number] for number in files), 1)
    wanted = {number: min(max(_FEWEST_OF_FILE, round(sizes[number] * share)), sizes[number]) for number in files}
    # one row of each of as many equal stretches, so that a file in order of its donors gives all of them
    return [firsts[number] + _spread_out(sizes[number], n, rng) for number, n in wanted.items()]


def _spread_out(n_rows: int, n_wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    bounds = np.linspace(0, n_rows, n_wanted + 1).astype(np.int64)
    return rng.integers(bounds[:-1], bounds[1:])


def kind_of_values(matrix: MatrixRows | scipy.sparse.csr_array) -> ValueKind:
    """Return the kind of values in a matrix, sparse or dense."""
    rows = scipy.sparse.csr_matrix(matrix, dtype=np.float64)
    data = rows.data[rows.data != 0]
    n_cells = rows.shape[0]
    if not data.size or not np.isfinite(data).all():
        finite = data[np.isfinite(data)]
        ends = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        return ValueKind("unknown", n_cells, _whole(finite), *ends, np.nan, np.nan)
    is_full = rows.data.size == n_cells * rows.shape[1]
    minimum, maximum = float(data.min()), float(data.max())
    if not is_full or data.size < rows.data.size:
        minimum, maximum = min(minimum, 0.0), max(maximum, 0.0)
    whole, spread = _whole(data), _spread(rows)
    unlogged = _spread_unlogged(rows, maximum) if whole < 1 and minimum >= 0 else float("nan")
    return ValueKind(
        _kind(minimum, maximum, whole, spread, unlogged), n_cells, whole, minimum, maximum, spread, unlogged
    )


def _kind(minimum: float, maximum: float, whole: float, spread: float, unlogged: float) -> Kind:
    if minimum < 0:
        return "scaled"
    if whole == 1:
        return "counts"
    if unlogged < _ALIKE:
        return "log-normalised"
    return "log-normalised" if maximum <= _LARGEST_LOGARITHM and not spread < _ALIKE else "normalised"


def are_logarithms(matrix: scipy.sparse.csr_array | scipy.sparse.csr_matrix | Array) -> bool:
    """Tell whether the first rows are beyond doubt logarithms of normalised counts: CSR or a dense array.

    Their sums differ, and those of exp(x) - 1 do not, which no counts have, normalised or not. Rows of chosen genes
    tell nothing.
    """
    few = matrix[:_TRIED]
    data: Array = few if isinstance(few, np.ndarray) else few.data
    if not data.size or few.shape[0] < _TRIED or not 0 <= data.min() <= data.max() <= _LARGEST_LOGARITHM:
        return False
    found = kind_of_values(few)
    return found.whole < 1 and found.spread_unlogged < _ALIKE < found.spread / 10


def kinds_joined(whole: ValueKind, by_file: Mapping[str, Kind]) -> ValueKind:
    """Return the evidence of all files with the kind that all have, or with those of each."""
    if len(set(by_file.values()) - {"unknown"}) < 2:
        return whole
    fields = (whole.n_cells, whole.whole, whole.minimum, whole.maximum, whole.spread, whole.spread_unlogged)
    return ValueKind("mixed", *fields, dict(by_file))


def _whole(data: NDArray[np.float64]) -> float:
    return float(np.mean(data == np.rint(data))) if data.size else float("nan")


def _spread(rows: scipy.sparse.csr_matrix) -> float:
    """Return the relative standard deviation of the sums of rows that have values."""
    sums = np.asarray(rows.sum(axis=1)).reshape(-1)
    sums = sums[np.diff(rows.indptr) > 0]
    return float(sums.std() / abs(sums.mean())) if sums.size > 1 and sums.mean() else float("nan")


def _spread_unlogged(rows: scipy.sparse.csr_matrix, maximum: float) -> float:
    """Return the least spread of the sums of base ** x - 1; NaN for values that are no logarithms."""
    if maximum > _LARGEST_LOGARITHM:
        return float("nan")
    spreads = []
    for base in _BASES:
        unlogged = rows.copy()
        unlogged.data = np.expm1(rows.data * np.log(base))
        spreads.append(_spread(unlogged))
    return float(min(spreads))

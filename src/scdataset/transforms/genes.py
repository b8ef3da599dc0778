"""Some of the genes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._arguments import names as as_names
from scdataset._arguments import ordered_names
from scdataset._tables import counted, verb
from scdataset._types import RowData
from scdataset.errors import ArgumentValueError
from scdataset.transforms.matrices import Matrix, MatrixTransform, is_anndata, matrix_of, with_matrix

__all__ = ["SelectGenes"]


@dataclass(frozen=True, init=False, eq=False)
class SelectGenes(MatrixTransform):
    """Keep some genes, in the order in which they are asked for.

    ``open_collection(genes=...)`` reads no others, and is several times as fast.

    Parameters
    ----------
    names
        Names of genes.
    var_names
        Names of all genes of X, in order, such as ``cells.var_names``; not needed for AnnData, which has them.

    Examples
    --------
    >>> SelectGenes(["CD8A", "CD4"], var_names=["CD4", "MS4A1", "CD8A"])(np.array([[1, 2, 3]]))
    array([[3, 1]])
    """

    names: tuple[str, ...]
    var_names: tuple[str, ...] | None

    _columns: NDArray[np.intp] | None = field(init=False, compare=False)

    def __init__(self, names: Iterable[str], var_names: Iterable[str] | None = None) -> None:
        chosen = tuple(as_names("names", names))
        known = None if var_names is None else tuple(ordered_names("var_names", var_names))
        columns = None if known is None else _columns_of(chosen, known)
        self._set(names=chosen, var_names=known, _columns=columns)

    def __repr__(self) -> str:
        return f"SelectGenes(<{counted(len(self.names), 'gene')}>)"

    def __call__(self, value: object) -> Any:
        """Return ``value`` with those genes of X."""
        if is_anndata(value):
            return value[:, _columns_of(self.names, tuple(value.var_names))].copy()
        return with_matrix(value, self.of_matrix(matrix_of(value, type(self).__name__), value))

    def of_matrix(self, matrix: Matrix, value: RowData) -> Matrix:  # noqa: ARG002 nothing else is needed
        """Return some columns."""
        if self.var_names is None:
            message = "SelectGenes does not know which gene is where; give var_names=cells.var_names."
            raise ArgumentValueError(message)
        if matrix.shape[1] != len(self.var_names):
            message = (
                f"SelectGenes got {len(self.var_names):,} var_names, and X has {counted(matrix.shape[1], 'gene')}; "
                "give those of X."
            )
            raise ArgumentValueError(message)
        columns: Any = self._columns
        return matrix[:, columns]


def _columns_of(names: tuple[str, ...], known: tuple[str, ...]) -> NDArray[np.intp]:
    place = {name: column for column, name in reversed(list(enumerate(known)))}
    unknown = [name for name in names if name not in place]
    if unknown:
        near = [match for name in unknown[:3] for match in get_close_matches(str(name), map(str, known), 1)]
        meant = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
        shown = ", ".join(map(repr, unknown[:3]))
        message = (
            f"{len(unknown):,} of {counted(len(names), 'gene')} {verb(len(unknown), 'are')} not among the "
            f"{len(known):,} of X: {shown}.{meant}"
        )
        raise ArgumentValueError(message)
    if len(place) < len(known):
        _refuse_repeated(names, known)
    return np.array([place[name] for name in names], np.intp)


def _refuse_repeated(names: tuple[str, ...], known: tuple[str, ...]) -> None:
    count = Counter(known)
    repeated = [name for name in names if count[name] > 1]
    if repeated:
        message = (
            f"{counted(len(repeated), 'gene')} {verb(len(repeated), 'are')} more than once among the {len(known):,} of "
            f"X, such as {repeated[0]!r}, so it is not known which is meant; make the names unique "
            "(var_names_make_unique)."
        )
        raise ArgumentValueError(message)

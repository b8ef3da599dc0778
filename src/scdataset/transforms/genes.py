"""Some of the genes."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.matrices import Matrix, MatrixTransform, is_anndata, matrix_of, with_matrix

__all__ = ["SelectGenes"]


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

    def __init__(self, names: Sequence[str], var_names: Sequence[str] | None = None) -> None:
        if isinstance(names, str):
            message = f"names={names!r} is a string; give a list of names, [{names!r}]."
            raise ArgumentTypeError(message)
        self.names = list(names)
        self._columns = None if var_names is None else _columns_of(self.names, list(var_names))
        self._n_vars = None if var_names is None else len(var_names)

    def __repr__(self) -> str:
        return f"SelectGenes(<{len(self.names)} genes>)"

    def __call__(self, value: Any) -> Any:
        """Return ``value`` with those genes of X."""
        if is_anndata(value):
            return value[:, _columns_of(self.names, list(value.var_names))].copy()
        return with_matrix(value, self.of_matrix(matrix_of(value, type(self).__name__), value))

    def of_matrix(self, matrix: Matrix, value: Any) -> Matrix:  # noqa: ARG002 nothing else is needed
        """Return some columns."""
        if self._columns is None:
            message = "SelectGenes does not know which gene is where; give var_names=cells.var_names."
            raise ArgumentValueError(message)
        if matrix.shape[1] != self._n_vars:
            message = f"SelectGenes got {self._n_vars} var_names, and X has {matrix.shape[1]} genes; give those of X."
            raise ArgumentValueError(message)
        return matrix[:, self._columns]


def _columns_of(names: list[str], known: list[str]) -> Any:
    place = {name: column for column, name in reversed(list(enumerate(known)))}
    unknown = [name for name in names if name not in place]
    if unknown:
        near = [match for name in unknown[:3] for match in get_close_matches(str(name), map(str, known), 1)]
        meant = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
        shown = ", ".join(map(repr, unknown[:3]))
        message = f"{len(unknown)} of {len(names)} genes are not among the {len(known)} of X: {shown}.{meant}"
        raise ArgumentValueError(message)
    return np.array([place[name] for name in names], np.intp)

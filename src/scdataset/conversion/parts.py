"""The parts of an AnnData beside X, obs and var: those that a store gets, and those that are left out and why."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from scdataset._types import Array
from scdataset.cells import CellCollection
from scdataset.conversion.order import RowOrder
from scdataset.conversion.request import Wanted
from scdataset.conversion.sources import MatrixSource
from scdataset.errors import CollectionError

__all__ = ["Parts"]

_GROUPS = ("uns", "obsm", "obsp", "varm", "varp", "layers", "raw")

_SEVERAL = "there are several sources, which may not agree"


@dataclass(frozen=True, slots=True)
class Parts:
    """Members of the groups of an AnnData, by their places in the store, such as ``"uns/neighbors"``.

    Attributes
    ----------
    elements
        Functions that read those that are read whole.
    matrices
        Those that are read by rows.
    left_out
        Why others are not carried over.
    """

    elements: dict[str, Callable[[], object]] = field(default_factory=dict)
    matrices: list[MatrixSource] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, cells: CellCollection, raw: CellCollection | None, wanted: Wanted, order: RowOrder) -> "Parts":
        """Decide about all members of all groups of the source, and of ``raw``, which is raw opened for its X.

        Raises
        ------
        ArgumentValueError
            If obsm has no array that was asked for.
        """
        parts, there = cls(), cells.members(_GROUPS)
        parts.left_out.update(_not_asked(there, wanted))
        parts._add_uns(cells, there["uns"])
        parts._add_gene_parts(cells, there, "")
        if raw is not None:
            parts._add_gene_parts(raw, raw.members(("varm",)), "raw/")
        parts._add_obsm(cells, there["obsm"], wanted.obsm, order)
        parts._add_obsp(cells, there["obsp"], order)
        return parts

    def _add_uns(self, cells: CellCollection, names: Sequence[str]) -> None:
        in_obs = {f"{name}_categories" for name in cells.obs_keys()}  # labels of columns, before anndata 0.7
        for name in names:
            if _has_several(cells):
                self.left_out[f"uns/{name}"] = _SEVERAL
            elif name == "conversion":
                self.left_out["uns/conversion"] = "it is about the conversion that the source comes from"
            elif name not in in_obs:
                self.elements[f"uns/{name}"] = partial(cells.member, "uns", name)

    def _add_gene_parts(self, cells: CellCollection, there: Mapping[str, Sequence[str]], above: str) -> None:
        for group, name in ((one, name) for one in ("varm", "varp") for name in there.get(one, ())):
            if _has_several(cells):
                self.left_out[f"{above}{group}/{name}"] = _SEVERAL
            else:
                read = partial(_taken, cells, group, name)
                self.elements[f"{above}{group}/{name}"] = read

    def _add_obsm(
        self, cells: CellCollection, there: Sequence[str], asked: Sequence[str] | None, order: RowOrder
    ) -> None:
        if asked is None and _has_several(cells):
            self.left_out.update({f"obsm/{name}": f"{_SEVERAL}, and it is not asked for with obsm" for name in there})
            return
        for name in there if asked is None else asked:
            try:
                self.matrices.append(MatrixSource(f"obsm/{name}", cells.member_rows("obsm", name)))
            except CollectionError:  # a frame, or an array of other than two axes
                if _has_several(cells):
                    raise
                self.elements[f"obsm/{name}"] = partial(_taken_rows, cells, name, order)

    def _add_obsp(self, cells: CellCollection, names: Sequence[str], order: RowOrder) -> None:
        for name in names:
            if _has_several(cells):
                self.left_out[f"obsp/{name}"] = _SEVERAL
            elif not order.is_all_of(len(cells)):
                self.left_out[f"obsp/{name}"] = "rows are in another order than in the source, or left out"
            else:
                try:
                    self.matrices.append(MatrixSource(f"obsp/{name}", cells.member_rows("obsp", name)))
                except CollectionError:
                    self.left_out[f"obsp/{name}"] = "it is not stored by rows"


def _not_asked(there: Mapping[str, Sequence[str]], wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Yield the matrices of the source that nobody decided about."""
    if not wanted.layers:
        for name in there["layers"]:
            if name != wanted.layer:
                yield f"layers/{name}", "not asked for with layers"
    if there["raw"] and not wanted.raw and wanted.layer not in ("raw", "raw/X"):
        yield "raw", "not asked for with raw"


def _has_several(cells: CellCollection) -> bool:
    return len(cells.files) > 1


def _taken(cells: CellCollection, group: str, name: str) -> Any:
    """Return a member of varm or varp for the genes of the store."""
    places = cells.gene_places()
    value = _rows_of(cells.member(group, name), places)
    return value if group == "varm" else value[:, places]


def _taken_rows(cells: CellCollection, name: str, order: RowOrder) -> Any:
    """Return a member of obsm for the rows of the store; a frame has their names, as anndata demands."""
    rows = order.rows(0, order.n_rows)
    value = _rows_of(cells.member("obsm", name), rows)
    if not isinstance(value, pd.DataFrame):
        return value
    names: pd.Index = pd.Index(np.concatenate([names.to_numpy(object) for names in cells.each_obs_names()])[rows])
    return value.set_axis(names, axis=0)


def _rows_of(value: Any, rows: Array) -> Any:
    return value.iloc[rows] if isinstance(value, pd.DataFrame) else value[rows]

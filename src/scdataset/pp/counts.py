"""Whether values are counts."""

from scdataset.collections.values import kind_of_values, sampled_rows
from scdataset.pp.streaming import Cells

__all__ = ["looks_like_counts"]


def looks_like_counts(cells: object, *, seed: int = 0) -> bool:
    """Tell whether the values of a few hundred cells are counts: whole numbers, none negative.

    Parameters
    ----------
    cells
        A collection, as `open_collection` returns it, or AnnData.
    seed
        Of the choice of cells.

    See Also
    --------
    CellCollection.value_kind : The kind of values, and by which evidence.
    """
    if hasattr(cells, "value_kind"):
        return bool(cells.value_kind(seed=seed).kind == "counts")
    chosen = Cells(cells)
    return kind_of_values(chosen.read(sampled_rows([chosen.rows.size], seed)[0])[0]).kind == "counts"

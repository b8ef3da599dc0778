"""BioNeMo's memory-mapped cells to a dense tensor."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from scdataset._arguments import array
from scdataset._packages import needing
from scdataset._types import Array
from scdataset.errors import ArgumentValueError

if TYPE_CHECKING:
    from bionemo.scdl.io.single_cell_memmap_dataset import SingleCellMemMapDataset

__all__ = ["bionemo_to_tensor"]


def bionemo_to_tensor(
    data_collection: "SingleCellMemMapDataset", idx: int | slice | Sequence[int] | Array | torch.Tensor
) -> torch.Tensor:
    """Read cells of a BioNeMo ``SingleCellMemMapDataset``: a ``fetch_callback``.

    Parameters
    ----------
    data_collection
        The dataset.
    idx
        Rows: one, a slice, or a sequence of them.

    Returns
    -------
    Values, shape ``(n_rows, n_genes)``: as wide for every fetch, the largest of ``number_of_variables()``.

    Raises
    ------
    MissingDependencyError
        If bionemo-scdl is not installed.
    """
    with needing("bionemo_to_tensor, which collates as BioNeMo does,", "bionemo-scdl"):
        from bionemo.scdl.util.torch_dataloader_utils import collate_sparse_matrix_batch  # noqa: PLC0415
    if isinstance(idx, slice):
        idx = range(*idx.indices(len(data_collection)))
    rows = np.atleast_1d(array("idx", idx, "row numbers, or a slice", "iu"))
    if rows.ndim != 1 or not rows.size:
        message = f"idx has shape {rows.shape}; give at least one row number."
        raise ArgumentValueError(message)
    sparse: torch.Tensor = collate_sparse_matrix_batch([data_collection[row] for row in rows.tolist()])
    dense = sparse.to_dense()
    # BioNeMo's collation is as wide as the last gene that these cells express.
    n_genes = max(data_collection.number_of_variables()) if hasattr(data_collection, "number_of_variables") else 0
    return torch.nn.functional.pad(dense, (0, max(n_genes - dense.shape[1], 0)))

"""Tahoe-100M's lists of genes and values to a dense tensor."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scdataset.errors import ArgumentValueError

__all__ = ["hf_tahoe_to_tensor"]


def hf_tahoe_to_tensor(
    batch: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]], num_genes: int = 62713
) -> torch.Tensor:
    """Return cells given as lists of genes and values as a dense tensor: a hook for Tahoe-100M on Hugging Face.

    Parameters
    ----------
    batch
        A dict with ``genes`` and ``expressions``, each with one list, array or tensor a cell; or one such dict a cell.
    num_genes
        Width of the result: one more than the largest gene number.

    Returns
    -------
    Values, shape ``(n_cells, num_genes)``, float32; genes that are not listed are zero.

    Raises
    ------
    ArgumentValueError
        If a gene number is outside [0, num_genes), or a cell has not as many values as genes.

    Examples
    --------
    >>> hf_tahoe_to_tensor({"genes": [[1, 2], [0]], "expressions": [[1.0, 2.0], [5.0]]}, num_genes=4).tolist()
    [[0.0, 1.0, 2.0, 0.0], [5.0, 0.0, 0.0, 0.0]]
    """
    if not isinstance(batch, Mapping):
        batch = {name: [cell[name] for cell in batch] for name in ("genes", "expressions")}
    genes, lengths = _joined(batch["genes"], np.int64)
    values, value_lengths = _joined(batch["expressions"], np.float32)
    if not np.array_equal(lengths, value_lengths):
        message = f"genes has {genes.size} entries and expressions {values.size}; a cell has as many of both."
        raise ArgumentValueError(message)
    if genes.size and not (genes.min() >= 0 and genes.max() < num_genes):
        message = (
            f"Gene numbers from {genes.min()} to {genes.max()} with num_genes={num_genes}; give a larger num_genes."
        )
        raise ArgumentValueError(message)
    dense = torch.zeros(len(lengths), num_genes)
    cells = np.repeat(np.arange(len(lengths)), lengths)
    dense[torch.from_numpy(cells), torch.from_numpy(genes)] = torch.from_numpy(values)
    return dense


def _joined(cells: Sequence[Any], dtype: type) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the entries of all cells one after the other, and how many each has."""
    arrays = [np.asarray(cell, dtype) for cell in cells]
    lengths = np.array([array.size for array in arrays], np.int64)
    return np.concatenate([np.empty(0, dtype), *arrays]), lengths

"""Tahoe-100M's lists of genes and values to a dense tensor."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from scdataset._arguments import array, whole
from scdataset._tables import counted
from scdataset._types import Array, RowData
from scdataset.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError

__all__ = ["hf_tahoe_to_tensor"]


def hf_tahoe_to_tensor(
    batch: Mapping[str, Sequence[RowData]] | Sequence[Mapping[str, RowData]], num_genes: int = 62713
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
    Values, shape ``(n_cells, num_genes)``, float32; genes that are not listed are zero, and of a gene that is listed
    twice the last value stays.

    Raises
    ------
    ArgumentIndexError
        If a gene number is outside [0, num_genes).
    ArgumentValueError
        If the batch is neither a dict nor a list, or a cell has not as many values as genes.
    ArgumentTypeError
        If genes are not integers or values not numbers.

    Examples
    --------
    >>> hf_tahoe_to_tensor({"genes": [[1, 2], [0]], "expressions": [[1.0, 2.0], [5.0]]}, num_genes=4).tolist()
    [[0.0, 1.0, 2.0, 0.0], [5.0, 0.0, 0.0, 0.0]]
    """
    whole("num_genes", num_genes, minimum=1, maximum=2**31 - 1)
    batch = _by_column(batch)
    genes, lengths = _joined("genes", batch["genes"], "iu", np.int64)
    values, value_lengths = _joined("expressions", batch["expressions"], "iufb", np.float32)
    if not np.array_equal(lengths, value_lengths):
        message = (
            f"genes has {counted(genes.size, 'entry')} and expressions {values.size:,}; a cell has as many of both."
        )
        raise ArgumentValueError(message)
    if genes.size and not (genes.min() >= 0 and genes.max() < num_genes):
        message = (
            f"Gene numbers from {genes.min()} to {genes.max()} with num_genes={num_genes}; give a larger num_genes."
        )
        raise ArgumentIndexError(message)
    dense = np.zeros((lengths.size, num_genes), np.float32)
    dense[np.repeat(np.arange(lengths.size), lengths), genes] = values  # of a repeated gene the last value stays
    return torch.from_numpy(dense)


def _by_column(batch: object) -> Mapping[str, Sequence[RowData]]:
    """Return genes and expressions, each of all cells."""
    if isinstance(batch, (str, bytes)) or not isinstance(batch, (Mapping, Sequence)):
        message = (
            f"The batch is of type {type(batch).__name__}; give a dict with genes and expressions, or a list with one "
            "such dict a cell."
        )
        raise ArgumentValueError(message)
    for cells in [batch] if isinstance(batch, Mapping) else batch:
        if not (isinstance(cells, Mapping) and "genes" in cells and "expressions" in cells):
            found = list(cells) if isinstance(cells, Mapping) else f"a {type(cells).__name__}"
            message = f"hf_tahoe_to_tensor takes dicts with genes and expressions, and got {found}."
            raise ArgumentValueError(message)
    if isinstance(batch, Mapping):
        return batch
    return {name: [cell[name] for cell in batch] for name in ("genes", "expressions")}


def _joined(name: str, cells: Sequence[object], kinds: str, dtype: type[np.generic]) -> tuple[Array, NDArray[np.int64]]:
    """Return the entries of all cells one after the other, and how many each has."""
    allowed = f"a list of {'integers' if kinds == 'iu' else 'numbers'}"
    if not isinstance(cells, Iterable):
        message = f"{name} is of type {type(cells).__name__}; give {allowed} for each cell."
        raise ArgumentTypeError(message)
    arrays = [array(f"A cell of {name}", cell, allowed, kinds) for cell in cells]
    wrong = [found.shape for found in arrays if found.ndim != 1]
    if wrong:
        message = f"A cell of {name} has shape {wrong[0]}; give {allowed}."
        raise ArgumentTypeError(message)
    lengths = np.array([found.size for found in arrays], np.int64)
    return np.concatenate([np.empty(0, dtype), *(found.astype(dtype, copy=False) for found in arrays)]), lengths

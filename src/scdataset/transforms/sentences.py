"""Some genes of every cell and their values, as sentences of one length."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import finite, flag, one_of, optional_whole, whole
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.strategy.row_keys import RowKeys
from scdataset.transforms.base import Transform
from scdataset.transforms.matrices import Csr, as_canonical_csr, matrix_of
from scdataset.transforms.padding import Padding, checked_padding, checked_values, ids_of_genes, in_place_of_x, trimmed
from scdataset.transforms.row_keys import checked_keys, drawn
from scdataset.transforms.token_kernels import fill_sampled, fill_top

__all__ = ["GeneSentence"]


@dataclass(frozen=True, init=False, eq=False)
class GeneSentence(Transform):
    """Turn every cell into a sentence of genes and their values, as the collators of scGPT and STATE do.

    In place of X come ``gene_ids``, int64, ``values``, float32, ``attention_mask``, True where there is a gene or
    ``cls``, and ``special_tokens_mask``, True where there is none or ``cls``, all of shape ``(n_cells, max_length)``,
    and ``lengths``, which count ``cls``. `MaskValues` after it masks ``values``.

    Parameters
    ----------
    gene_ids
        Number of each gene of X in the model's vocabulary, shape ``(n_vars,)``; -1 for genes that are left out.
    max_length
        Length of a sentence, ``cls`` included.
    sample
        Which genes come if there are too many: ``"random"``, a sample of them in the order of X (scGPT), or ``"top"``,
        those of the largest values, largest first (STATE), ties in the order of X. The chance is that of
        (seed, epoch, row, gene).
    include_zeros
        Whether genes of value 0 take part: with ``"random"`` as all others, with ``"top"`` a random sample of them in
        the places that are left.
    cls
        Number of a token before the genes; None for none.
    cls_value
        Its value.
    pad, pad_value
        Number and value in the places after the end.
    padding
        ``"max_length"``, or ``"longest"`` for arrays as long as the longest cell of a window or batch.
    stream
        Another number gives other samples.

    References
    ----------
    Cui et al. 2024, scGPT, Nature Methods 21. Adduri et al. 2025, STATE, bioRxiv.

    Examples
    --------
    >>> sentence = GeneSentence([5, 6, 7], max_length=3, sample="top", cls=1)
    >>> batch = sentence(np.array([[3, 0, 9], [0, 2, 0]], np.float32))
    >>> batch["gene_ids"], batch["values"]
    (array([[1, 7, 5],
           [1, 6, 0]]), array([[ 0.,  9.,  3.],
           [ 0.,  2., -2.]], dtype=float32))
    """

    gene_ids: NDArray[np.int64]
    max_length: int
    sample: Literal["random", "top"]
    include_zeros: bool
    cls: int | None
    cls_value: float
    pad: int
    pad_value: float
    padding: Padding
    stream: int

    runs_ahead: ClassVar[bool] = True

    def __init__(
        self,
        gene_ids: ArrayLike,
        max_length: int = 1200,
        *,
        sample: Literal["random", "top"] = "random",
        include_zeros: bool = False,
        cls: int | None = None,
        cls_value: float = 0.0,
        pad: int = 0,
        pad_value: float = -2.0,
        padding: Padding = "max_length",
        stream: int = 0,
    ) -> None:
        cls, pad = optional_whole("cls", cls, minimum=0), whole("pad", pad, minimum=0)
        self._set(
            max_length=whole("max_length", max_length, minimum=1 + (cls is not None)),
            sample=one_of("sample", sample, allowed=("random", "top")),
            include_zeros=flag("include_zeros", include_zeros),
            cls_value=finite("cls_value", cls_value),
            pad_value=finite("pad_value", pad_value),
            padding=checked_padding(padding),
            stream=whole("stream", stream, minimum=0),
            pad=pad,
            cls=cls,
            gene_ids=ids_of_genes("gene_ids", gene_ids, {"pad": pad, "cls": cls}),
        )

    @property
    def needs_keys(self) -> bool:
        """Whether it has to be given the keys of the rows."""
        return self.sample == "random" or self.include_zeros

    def __repr__(self) -> str:
        n_known = int((self.gene_ids >= 0).sum())
        options = ("max_length", "sample", "include_zeros", "cls", "cls_value", "pad", "pad_value", "padding", "stream")
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in options)
        return f"GeneSentence(<{n_known:,} of {counted(self.gene_ids.size, 'gene')}>, {shown})"

    def __call__(self, value: object, keys: RowKeys | None = None) -> Any:
        """Return ``value`` with sentences in place of X; of AnnData and of a matrix, a `MultiIndexable` of those alone.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If it is something else, of other genes, has values that are negative or not finite, or keys are needed and
            not given.
        """
        rows = as_canonical_csr(matrix_of(value, "GeneSentence"))
        checked_values("GeneSentence", rows, self.gene_ids)
        row_keys = np.zeros(rows.shape[0], np.uint64)
        if self.needs_keys:
            row_keys = drawn(checked_keys(self, keys, rows.shape[0]), "sentence", self.stream)
        return in_place_of_x(value, self._sentences(rows, row_keys))

    def _sentences(self, rows: Csr, row_keys: NDArray[np.uint64]) -> dict[str, Array]:
        shape, first = (row_keys.size, self.max_length), int(self.cls is not None)
        ids, values = np.full(shape, self.pad, np.int64), np.full(shape, self.pad_value, np.float32)
        fill = fill_sampled if self.sample == "random" else fill_top
        stored = rows.data, rows.indices, rows.indptr
        n_known, longest = int(np.count_nonzero(self.gene_ids >= 0)), int(np.diff(rows.indptr).max(initial=0))
        known = self.gene_ids, n_known, self.include_zeros
        lengths = first + fill(*stored, row_keys, *known, longest, first, ids, values)
        if self.cls is not None:
            ids[:, 0], values[:, 0] = self.cls, self.cls_value
        ids, values = trimmed(ids, lengths, self.padding), trimmed(values, lengths, self.padding)
        places = np.arange(ids.shape[1])
        mask = places < lengths[:, None]
        special = ~mask | (places < first)
        return {
            "gene_ids": ids,
            "values": values,
            "attention_mask": mask,
            "special_tokens_mask": special,
            "lengths": lengths,
        }

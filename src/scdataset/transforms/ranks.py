"""Genes of every cell as tokens, in the order of their expression."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import array, optional_whole, ordered_names, whole
from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.collections.values import are_logarithms
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.transforms.base import Transform
from scdataset.transforms.matrices import Csr, as_canonical_csr, as_floats, matrix_of
from scdataset.transforms.padding import Padding, checked_padding, checked_values, ids_of_genes, in_place_of_x, trimmed
from scdataset.transforms.token_kernels import fill_ranked
from scdataset.transforms.totals import AUTO, checked_key, total_counts

__all__ = ["RankTokens"]


@dataclass(frozen=True, init=False, eq=False)
class RankTokens(Transform):
    """Turn every cell into the tokens of its genes, ranked by expression against their median, as Geneformer does.

    A gene's rank is that of ``x / total counts * 1e4 / median``, largest first, ties in the order of the genes. Counts
    of genes that share a token are added up first. In place of X come ``input_ids``, int64, and ``attention_mask``,
    bool, both of shape ``(n_cells, max_length)``, and ``lengths``, which count ``cls`` and ``eos``. A cell without any
    token has none but those.

    Parameters
    ----------
    token_ids
        Token of each gene of X, shape ``(n_vars,)``; -1 for genes that are left out.
    medians
        Median of each gene's normalised values that are not zero, over the cells the model was trained on; NaN where
        there is no token. `scdataset.pp` computes them for a model of your own.
    max_length
        Tokens of a cell, special ones among them: 2,048 for Geneformer V1 and 4,096 for V2.
    cls, eos
        Tokens before and after those of the genes, which V2 has; None for none.
    pad
        Token after the end.
    key
        Modality, or column of obs, with the total counts of each cell, over all genes. ``"auto"`` takes
        ``"total_counts"`` if a batch has it, and otherwise the sum of the row of X; None is always that sum.
    padding
        ``"max_length"``, or ``"longest"`` for arrays as long as the longest cell of a window or batch.

    References
    ----------
    Theodoris et al. 2023, Transfer learning enables predictions in network biology, Nature 618.

    Examples
    --------
    >>> to_tokens = RankTokens([7, -1, 9], medians=[1.0, np.nan, 4.0], max_length=4, cls=2, eos=3)
    >>> batch = to_tokens(np.array([[1, 5, 2], [1, 0, 8]]))
    >>> batch["input_ids"], batch["lengths"]
    (array([[2, 7, 9, 3],
           [2, 9, 7, 3]]), array([4, 4]))
    """

    token_ids: NDArray[np.int64]
    medians: NDArray[np.float64]
    max_length: int
    cls: int | None
    eos: int | None
    pad: int
    key: str | None
    padding: Padding

    _slots: NDArray[np.int64] | None = field(init=False, compare=False)
    _tokens: NDArray[np.int64] = field(init=False, compare=False)
    _medians: NDArray[np.float64] = field(init=False, compare=False)
    runs_ahead: ClassVar[bool] = True

    def __init__(
        self,
        token_ids: ArrayLike,
        medians: ArrayLike,
        max_length: int = 2048,
        *,
        cls: int | None = None,
        eos: int | None = None,
        pad: int = 0,
        key: str | None = AUTO,
        padding: Padding = "max_length",
    ) -> None:
        n_special = (cls is not None) + (eos is not None)
        max_length = whole("max_length", max_length, minimum=1 + n_special)
        cls, eos = optional_whole("cls", cls, minimum=0), optional_whole("eos", eos, minimum=0)
        pad = whole("pad", pad, minimum=0)
        ids = ids_of_genes("token_ids", token_ids, {"pad": pad, "cls": cls, "eos": eos})
        slots, first = _slots_of(ids)
        known = _medians_of(ids, medians, slots, first)
        self._set(token_ids=ids, medians=known, max_length=max_length, cls=cls, eos=eos, pad=pad)
        self._set(key=checked_key(key), padding=checked_padding(padding))
        shares = first.size < np.count_nonzero(ids >= 0)
        self._set(_slots=slots if shares else None)
        self._set(_tokens=ids[first] if shares else ids, _medians=known[first] if shares else known)

    @classmethod
    def from_dictionaries(
        cls,
        var_names: Iterable[str],
        tokens: Mapping[str, int],
        medians: Mapping[str, float],
        max_length: int = 2048,
        *,
        key: str | None = AUTO,
        padding: Padding = "max_length",
    ) -> Self:
        """Return the transform for a model's dictionaries of tokens and medians, as Geneformer publishes them.

        Parameters
        ----------
        var_names
            Names of the genes of X, in order, by which the dictionaries know them: Ensembl identifiers.
        tokens
            Token by gene, a dict or a Series, and those of ``"<pad>"``, ``"<cls>"`` and ``"<eos>"`` where the model has
            them.
        medians
            Median by gene, such as those of `scdataset.pp.nonzero_medians`.
        max_length, key, padding
            As for the class.

        Raises
        ------
        ArgumentValueError
            If no gene has a token, or one has a token and no median.
        """
        names = ordered_names("var_names", var_names)
        for argument, given in (("tokens", tokens), ("medians", medians)):
            if not (hasattr(given, "keys") and hasattr(given, "get")):
                message = f"{argument} is of type {type(given).__name__}; give a dict by gene, or a Series."
                raise ArgumentTypeError(message)
        known = [name in tokens for name in names]
        if not any(known):
            message = (
                f"None of {len(names):,} var_names is among the {counted(len(tokens), 'gene')} of tokens: {names[:3]} "
                f"and {list(tokens)[:3]}. Give names of the same kind, without versions."
            )
            raise ArgumentValueError(message)
        bare = [name for name, is_known in zip(names, known, strict=True) if is_known and name not in medians]
        if bare:
            message = (
                f"{counted(len(bare), 'gene')} {verb(len(bare), 'have')} a token and no median, such as {bare[:3]}; "
                "give medians of all tokens."
            )
            raise ArgumentValueError(message)
        ids = [tokens.get(name, -1) for name in names]
        of_genes = [medians[name] if is_known else np.nan for name, is_known in zip(names, known, strict=True)]
        special = {"cls": tokens.get("<cls>"), "eos": tokens.get("<eos>"), "pad": tokens.get("<pad>", 0)}
        return cls(ids, of_genes, max_length, key=key, padding=padding, **special)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        n_known = int((self.token_ids >= 0).sum())
        return (
            f"RankTokens(<tokens of {n_known:,} of {counted(self.token_ids.size, 'gene')}>, "
            f"max_length={self.max_length}, cls={self.cls}, eos={self.eos}, pad={self.pad}, key={self.key!r}, "
            f"padding={self.padding!r})"
        )

    def __call__(self, value: object) -> Any:
        """Return ``value`` with tokens in place of X; of AnnData and of a matrix, a `MultiIndexable` of those alone.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If it is something else, of other genes, or has values that are negative, not finite, or logarithms.
        """
        rows = as_canonical_csr(matrix_of(value, "RankTokens"))
        checked_values("RankTokens", rows, self.token_ids)
        _refuse_logarithms(rows)
        totals = total_counts("RankTokens", rows, value, self.key)
        empty = (totals == 0) & (np.diff(rows.indptr) > 0)
        if empty.any():
            message = f"RankTokens: the total counts of row {int(np.argmax(empty))} are 0, and it has counts."
            raise ArgumentValueError(message)
        if self._slots is not None:
            rows = _merged(rows, self._slots, self._tokens.size)
        return in_place_of_x(value, self._padded(as_floats(rows), rows.indices, rows.indptr, totals))

    def _padded(self, data: Array, indices: Array, indptr: Array, totals: NDArray[np.float64]) -> dict[str, Array]:
        first, last = int(self.cls is not None), int(self.eos is not None)
        ids = np.full((totals.size, self.max_length), self.pad, np.int64)
        longest, end = int(np.diff(indptr).max(initial=0)), self.max_length - last
        lengths = first + fill_ranked(
            data, indices, indptr, totals, self._tokens, self._medians, longest, first, end, ids
        )
        if self.cls is not None:
            ids[:, 0] = self.cls
        if self.eos is not None:
            ids[np.arange(totals.size), lengths] = self.eos
        ids = trimmed(ids, lengths + last, self.padding)
        mask = np.arange(ids.shape[1]) < (lengths + last)[:, None]
        return {"input_ids": ids, "attention_mask": mask, "lengths": lengths + last}


def _slots_of(token_ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the slot of each gene, one for every token, ascending by the first gene that has it, and those genes."""
    columns = np.flatnonzero(token_ids >= 0)
    _, first, place = np.unique(token_ids[columns], return_index=True, return_inverse=True)
    order = np.argsort(first)
    slots = np.full(token_ids.size, -1, np.int64)
    slots[columns] = np.argsort(order)[place.ravel()]
    return slots, columns[first[order]]


def _merged(rows: Csr, slots: NDArray[np.int64], n_slots: int) -> Csr:
    """Return counts by token: those of genes that share one are added up, and those of genes without one left out."""
    places = slots[rows.indices]
    kept = places >= 0
    indptr = np.append(0, np.cumsum(kept))[rows.indptr]
    merged = type(rows)((rows.data[kept].astype(np.float64), places[kept], indptr), (rows.shape[0], n_slots))
    merged.has_sorted_indices = False
    merged.sum_duplicates()
    return merged


def _medians_of(
    token_ids: NDArray[np.int64], medians: ArrayLike, slots: NDArray[np.int64], first: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the median of each gene, NaN for those without a token."""
    numbers = array("medians", medians, "one number for each of token_ids, NaN where there is no token")
    if numbers.shape != token_ids.shape:
        message = (
            f"medians has shape {numbers.shape}; give one number for each of {token_ids.size} token_ids, NaN where "
            "there is no token."
        )
        raise ArgumentTypeError(message)
    known = numbers.astype(np.float64)
    bad = np.flatnonzero((token_ids >= 0) & ~((known > 0) & np.isfinite(known)))
    if bad.size:
        message = (
            f"{counted(bad.size, 'gene')} {verb(bad.size, 'have')} a token and no median above 0, such as gene "
            f"{bad[0]} with token {token_ids[bad[0]]} and {known[bad[0]]}; give medians of all tokens, or -1 for "
            "genes that are left out."
        )
        raise ArgumentValueError(message)
    there = slots >= 0
    differs = known[there] != known[first[slots[there]]]
    if differs.any():
        gene = int(np.flatnonzero(there)[np.argmax(differs)])
        message = (
            f"Genes with the token {token_ids[gene]} have several medians, such as gene {gene}; give all the same."
        )
        raise ArgumentValueError(message)
    return np.where(there, known, np.nan)


def _refuse_logarithms(rows: Csr) -> None:
    if are_logarithms(rows):
        message = (
            "RankTokens takes counts, and got logarithms of counts; give the counts. "
            'open_collection(...).value_kind() says what a file has; layer="raw" is often counts.'
        )
        raise ArgumentValueError(message)

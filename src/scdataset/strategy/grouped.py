"""GroupedSampling: batches made of whole sets of cells, each of one group, with matched controls."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import one_of, optional_whole, whole
from scdataset.errors import ArgumentValueError
from scdataset.strategy.base import EpochOrder, SamplingStrategy
from scdataset.strategy.controls import Controls, sets_with_controls
from scdataset.strategy.keys import make_key
from scdataset.strategy.labels import ClassCodes, encode_labels
from scdataset.strategy.permutation import KeyedPermutation
from scdataset.strategy.selection import AlignedTo, Rows
from scdataset.strategy.sets import Members, Sets, members_by_code
from scdataset.strategy.strata import Strata

__all__ = ["GroupedSampling"]

Balance = Literal["proportional", "balanced"]
Remainder = Literal["pad", "drop"]
Unmatched = Literal["error", "drop"]

_N_NAMED = 3
"""Groups that an error names."""


@dataclass(frozen=True, slots=True)
class GroupedOrder:
    """Sets in random order, each followed by its controls."""

    selected: Rows
    sets: Sets
    controls: Controls
    shuffled: KeyedPermutation
    cells_key: np.uint64
    controls_key: np.uint64
    shuffles: bool = False  # sets are in random order already, and their rows have to stay together

    def __len__(self) -> int:
        return self.sets.count * self._unit

    @property
    def _unit(self) -> int:
        return self.sets.set_size + self.controls.n_controls

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        first, last = start // self._unit, -(-stop // self._unit)
        numbers = self.shuffled(np.arange(first, last))
        rows = sets_with_controls(first, numbers, self.sets, self.controls, self.cells_key, self.controls_key)
        return self.selected.at(rows.reshape(-1)[start - first * self._unit : stop - first * self._unit])


@dataclass(frozen=True, slots=True)
class Prepared:
    """The cells and controls, sorted; and whether groups and match belong to the collection or to the indices."""

    targets: tuple[str, ...]
    sets: Sets
    controls: Controls


class GroupedSampling(SamplingStrategy):
    """Batches made of whole sets: ``set_size`` cells of one group each, with controls if wanted.

    For models of perturbations, donors or samples. A batch holds ``batch_size / (set_size + n_controls)`` sets, one
    after the other, in the same places in every batch::

        batch_size = 2 * (set_size + n_controls)
        |-------- set of one group --------||------- set of another group ------|
        | set_size cells | n_controls      || set_size cells | n_controls       |
        | c0 c1 c2 c3    | k0 k1 k2 k3     || c0 c1 c2 c3    | k0 k1 k2 k3      |
                           k0 matches c0, k1 matches c1, ...

    so that ``X.reshape(-1, set_size + n_controls, n_genes)`` has a set in each entry, and ``[:, :set_size]`` are its
    cells. Which group a set is of is in the batch's column of obs, at the first row of the set. Sets come in random
    order. The last batch of an epoch may have fewer sets; none is ever cut. The same seed and epoch give the same
    sets, whatever the number of workers and ranks.

    Parameters
    ----------
    groups
        Group of each row: strings, integers or categories; one a row of the collection or one an index.
    set_size
        Cells in a set.
    balance
        ``"proportional"``: every cell comes in one set an epoch, so that large groups yield more sets. ``"balanced"``:
        every group yields ``sets_per_group`` sets an epoch, and cells of a group come again only when all of them have
        come, in another order each time round (``remainder`` says what becomes of the last ones).
    sets_per_group
        Sets of each group in an epoch, for ``"balanced"`` only. None for as many as there are on average if every cell
        comes once, at least 1.
    remainder
        What becomes of the cells of a group that are left when no whole set can be made of them. ``"pad"``: they are
        filled up to a set with other cells of the group, less than ``set_size`` a group and round; a group of fewer
        cells than a set holds them several times. ``"drop"``: they stay out, others each epoch, less than ``set_size``
        a group; a group of fewer cells than a set stays out entirely (`left_out`).
    control
        The group of controls, which makes no sets of its own; None for sets without controls.
    n_controls
        Controls in a set, by default ``set_size``. The t-th is matched to cell ``t % set_size`` of the set.
    match
        What a control has to have in common with its cell: labels, or a frame or mapping of several columns of labels,
        such as ``obs[["batch", "donor"]]``; None to match any control. Each control of a stratum is used about equally
        often, and twice in a set only if the set needs more of them than there are.
    unmatched
        What to do if cells have no control that matches: ``"error"``, or ``"drop"`` to leave those cells out.
    block_size
        Cells of a group, neighbours in the file, that are put into sets together: 1 is random order, and
        ``block_size=set_size`` reads fastest where cells of a group lie together. The bounds of blocks change each
        epoch, and so do the sets.
    indices
        The rows that take part: None for all, a ``range``, integers, or a boolean mask over the collection.
    aligned_to
        As in `BlockWeightedSampling`, for ``groups`` and ``match``.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        For arguments of the wrong type or value, missing labels, an unknown control, cells without a matching control
        (with names and counts), and sets larger than every group. `scDataset` refuses a ``batch_size`` that cuts sets.

    Notes
    -----
    4 bytes a selected row are kept (8 from 2**31 rows on), and 1 or 2 for each of ``groups`` and ``match`` (4 from
    65,536 labels on), nothing for those that already are codes of that size, as those of categories are.

    Examples
    --------
    >>> gene = ["KLF1"] * 6 + ["non-targeting"] * 3 + ["GATA1"] * 4
    >>> strategy = GroupedSampling(gene, set_size=2, control="non-targeting", n_controls=1)
    >>> rows = strategy.get_indices(range(13), seed=0).reshape(-1, 3)
    >>> sorted(gene[row] for row in rows[:, 0]), {gene[row] for row in rows[:, 2]}
    (['GATA1', 'GATA1', 'KLF1', 'KLF1', 'KLF1'], {'non-targeting'})
    """

    def __init__(
        self,
        groups: ArrayLike | Sequence[Hashable],
        set_size: int,
        *,
        balance: Balance = "proportional",
        sets_per_group: int | None = None,
        remainder: Remainder = "pad",
        control: Hashable = None,
        n_controls: int | None = None,
        match: Any = None,
        unmatched: Unmatched = "error",
        block_size: int = 1,
        indices: ArrayLike | range | None = None,
        aligned_to: AlignedTo = "auto",
    ) -> None:
        super().__init__(indices)
        self.set_size = whole("set_size", set_size, minimum=1)
        self.balance = one_of("balance", balance, get_args(Balance))
        self.sets_per_group = optional_whole("sets_per_group", sets_per_group, minimum=1)
        self.remainder = one_of("remainder", remainder, get_args(Remainder))
        self.control = control
        self.n_controls = optional_whole("n_controls", n_controls, minimum=1)
        self.unmatched = one_of("unmatched", unmatched, get_args(Unmatched))
        self.block_size = whole("block_size", block_size, minimum=1)
        self.aligned_to = one_of("aligned_to", aligned_to, get_args(AlignedTo))
        self._check_together(matched=match is not None)
        if self.n_controls is None:
            self.n_controls = 0 if control is None else self.set_size
        self._groups = encode_labels(groups, "groups")
        self._control = -1 if control is None else _code_of(control, self._groups)
        self._strata = None if match is None else Strata.of(match)
        self._prepared = self._prepare(self._least_rows())

    def __repr__(self) -> str:
        return (
            f"GroupedSampling(groups=<{self._groups.codes.size} values>, set_size={self.set_size}, "
            f"balance={self.balance!r}, remainder={self.remainder!r}, control={self.control!r}, "
            f"n_controls={self.n_controls}, block_size={self.block_size}, {self._selection!r})"
        )

    @property
    def batch_unit(self) -> int:
        """Rows of a set with its controls, which stay together in a batch."""
        return self.set_size + (self.n_controls or 0)

    @property
    def n_sets(self) -> int:
        """Number of sets in an epoch."""
        return self._prepared.sets.count

    @property
    def left_out(self) -> list[Any]:
        """The groups that have cells and yield no set, since ``remainder="drop"`` and a set needs more cells."""
        sets = self._prepared.sets
        return self._names(np.flatnonzero((sets.members.sizes > 0) & (sets.in_round == 0)))

    def order(self, n_rows: int, seed: int, epoch: int) -> EpochOrder:
        """Return the order of one epoch."""
        selected = self._selection.of(n_rows)
        if self._targets(n_rows) != self._prepared.targets:
            self._prepared = self._prepare(n_rows)
        sets, controls = self._prepared.sets, self._prepared.controls
        shuffled = KeyedPermutation(sets.count, make_key(seed, epoch, "sets"))
        return GroupedOrder(
            selected, sets, controls, shuffled, make_key(seed, epoch, "cells"), make_key(seed, epoch, "controls")
        )

    def _check_together(self, *, matched: bool) -> None:
        if self.sets_per_group is not None and self.balance != "balanced":
            message = (
                f"sets_per_group={self.sets_per_group} with balance={self.balance!r}, where the size of a group says "
                'how many sets it yields; give balance="balanced", or leave sets_per_group out.'
            )
            raise ArgumentValueError(message)
        if self.control is None and (matched or self.n_controls is not None):
            given = "match" if matched else f"n_controls={self.n_controls}"
            message = f"{given} without control; give control, the label that controls have in groups."
            raise ArgumentValueError(message)

    def _labels(self) -> dict[str, ClassCodes]:
        return {"groups": self._groups} | ({"match": self._strata.encoded} if self._strata else {})

    def _least_rows(self) -> int:
        """Return the least number of rows that the collection has for the arguments to fit."""
        if self._selection.mask_length is not None:
            return self._selection.mask_length
        lengths = [codes.codes.size for codes in self._labels().values()]
        rows = self._selection.rows
        if rows is None:
            return lengths[0]
        return max(*lengths, int(rows.between(rows.count - 1, rows.count)[0]) + 1)

    def _targets(self, n_rows: int) -> tuple[str, ...]:
        return tuple(
            self._selection.target(name, codes.codes.size, n_rows, self.aligned_to)
            for name, codes in self._labels().items()
        )

    def _prepare(self, n_rows: int) -> Prepared:
        codes = self._of_selected("groups", self._groups, n_rows)
        strata, n_strata = np.empty(0, np.uint8), 1
        if self._strata is not None:
            strata, n_strata = (
                self._of_selected("match", self._strata.encoded, n_rows),
                self._strata.encoded.classes.size,
            )
        is_control = codes == self._control
        is_cell = ~is_control
        if self.n_controls:
            self._check_controls(is_control)
            self._keep_matched(codes, strata, is_control, is_cell, n_strata)
        controls = Controls.of(is_control, is_cell, strata, n_strata, self.batch_unit - self.set_size, self.block_size)
        members = members_by_code(codes, is_cell, self._groups.classes.size)
        return Prepared(self._targets(n_rows), self._sets(members), controls)

    def _of_selected(self, name: str, codes: ClassCodes, n_rows: int) -> NDArray[Any]:
        values, lookup = self._selection.align(name, codes.from_zero(), n_rows, self.aligned_to)
        return np.ascontiguousarray(lookup.taken(values))

    def _check_controls(self, is_control: NDArray[np.bool_]) -> None:
        if not is_control.any() or is_control.all():
            found = "all" if is_control.all() else "none"
            message = (
                f"control={self.control!r}: of the {is_control.size} selected rows {found} are controls; "
                "select rows of both kinds."
            )
            raise ArgumentValueError(message)

    def _keep_matched(
        self,
        codes: NDArray[Any],
        strata: NDArray[Any],
        is_control: NDArray[np.bool_],
        is_cell: NDArray[np.bool_],
        n_strata: int,
    ) -> None:
        """Refuse cells without a matching control, or take them out of ``is_cell``."""
        if self._strata is None:
            return
        has_control = np.bincount(strata[is_control], minlength=n_strata) > 0
        without = is_cell & ~has_control[strata]
        if self.unmatched == "error" and without.any():
            first = int(np.argmax(without))
            groups, counts = np.unique(codes[without], return_counts=True)
            message = (
                f"{counts.sum()} of {np.count_nonzero(is_cell)} cells, in {groups.size} groups, have no control "
                f"{self.control!r} that matches: {self._counted(groups, counts)}, for instance a cell of "
                f"{self._names([codes[first]])[0]!r} with {self._strata.label(int(strata[first]))}. Give "
                'unmatched="drop" to leave these cells out, or match by fewer columns.'
            )
            raise ArgumentValueError(message)
        is_cell &= ~without

    def _sets(self, members: Members) -> Sets:
        sizes = members.sizes
        in_round = sizes // self.set_size if self.remainder == "drop" else -(-sizes // self.set_size)
        n_groups = np.count_nonzero(in_round)
        if n_groups == 0:
            raise ArgumentValueError(self._no_set(int(sizes.max())))
        n_sets = in_round
        if self.balance == "balanced":
            of_each = self.sets_per_group or max(int(sizes.sum()) // (self.set_size * n_groups), 1)
            n_sets = np.where(in_round > 0, of_each, 0)
        first_set = np.concatenate([[0], np.cumsum(n_sets)])
        return Sets(members, first_set, in_round, self.set_size, self.block_size)

    def _no_set(self, largest: int) -> str:
        if largest == 0:
            return 'unmatched="drop" leaves no cell, since no control matches any; match by fewer columns.'
        return (
            f'set_size={self.set_size} with remainder="drop" leaves no set, since the largest group has {largest} '
            f'cells; give set_size of at most {largest}, or remainder="pad".'
        )

    def _names(self, groups: Any) -> list[Any]:
        names: list[Any] = self._groups.classes[np.asarray(groups, np.intp)].tolist()
        return names

    def _counted(self, groups: NDArray[Any], counts: NDArray[np.int64]) -> str:
        """Return the groups with the largest counts, and the counts."""
        most = np.argsort(-counts, kind="stable")[:_N_NAMED]
        named = [f"{self._names([g])[0]!r} ({n})" for g, n in zip(groups[most], counts[most], strict=True)]
        return ", ".join(named) + (", ..." if groups.size > _N_NAMED else "")


def _code_of(control: Hashable, groups: ClassCodes) -> int:
    """Return the code of the group of controls; an unknown one is answered with the names that come nearest."""
    present = dict(zip(groups.classes.tolist(), groups.counts.tolist(), strict=True))
    if present.get(control, 0):
        return list(present).index(control)
    names = [str(name) for name, count in present.items() if count]
    near = get_close_matches(str(control), names, _N_NAMED, cutoff=0.4) or names[:_N_NAMED]
    message = (
        f"control={control!r} is not among the {len(names)} groups; give one of them, such as "
        f"{', '.join(map(repr, near))}."
    )
    raise ArgumentValueError(message)

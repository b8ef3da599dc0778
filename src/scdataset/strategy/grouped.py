"""GroupedSampling: batches made of whole sets of cells, each of one group, with matched controls."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import one_of, optional_whole, whole
from scdataset._compiled import read_only
from scdataset._types import Array
from scdataset.errors import ArgumentValueError
from scdataset.strategy.base import EpochOrder, ListedOrder, SamplingStrategy
from scdataset.strategy.cells import Cells, code_of
from scdataset.strategy.controls import Controls, sets_with_controls
from scdataset.strategy.keys import make_key
from scdataset.strategy.labels import ClassCodes, encode_labels
from scdataset.strategy.names import NamedRows, names_of, names_of_columns, rows_of
from scdataset.strategy.parameters import Parameter
from scdataset.strategy.permutation import KeyedPermutation
from scdataset.strategy.selection import AlignedTo, Rows
from scdataset.strategy.sets import Members, Sets, count_codes, members_by_code
from scdataset.strategy.strata import Strata

__all__ = ["GroupedSampling"]

Balance = Literal["proportional", "balanced"]
Remainder = Literal["pad", "drop"]
Unmatched = Literal["error", "drop"]


@dataclass(frozen=True, slots=True)
class GroupedOrder:
    """Sets in random order, each followed by its controls."""

    selected: Rows
    sets: Sets
    controls: Controls
    shuffled: KeyedPermutation
    cells_key: np.uint64
    controls_key: np.uint64
    shuffles: bool  # False if not asked for: sets are in random order already, and their rows have to stay together

    def __len__(self) -> int:
        return self.sets.total * self._unit

    @property
    def _unit(self) -> int:
        return self.sets.set_size + self.controls.n_controls

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the rows at positions [start, stop)."""
        first, last = start // self._unit, -(-stop // self._unit)
        numbers = self.shuffled(np.arange(first, last))
        controls = self.controls._replace(strata=read_only(self.controls.strata))  # one type, pickled or not
        rows = sets_with_controls(first, numbers, self.sets, controls, self.cells_key, self.controls_key)
        return self.selected.at(rows.reshape(-1)[start - first * self._unit : stop - first * self._unit])


@dataclass(frozen=True, slots=True)
class Prepared:
    """The cells and controls, sorted; and whether groups and match belong to the collection or to the indices."""

    targets: tuple[str, ...]
    sets: Sets
    controls: Controls
    left_out: NDArray[np.int64]


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
        Group of each row: strings, integers or categories; one a row of the collection or one an index. Those of a
        pandas Series are found by its index, as weights are in `BlockWeightedSampling`; ``match`` likewise.
    set_size
        Cells in a set.
    balance
        ``"proportional"``: every cell comes in one set an epoch, so that large groups yield more sets. ``"balanced"``:
        every group yields ``sets_per_group`` sets an epoch, and cells of a group come again only when all of them have
        come, in another order each time round (``remainder`` decides on the last ones).
    sets_per_group
        Sets of each group in an epoch, for ``"balanced"`` only. None for as many as there are on average if every cell
        comes once, at least 1.
    remainder
        Treatment of the cells of a group that are left when no whole set can be made of them. ``"pad"``: they are
        filled up to a set with other cells of the group, less than ``set_size`` a group and round; a group of fewer
        cells than a set holds them several times. ``"drop"``: they stay out, others each epoch, less than ``set_size``
        a group; a group of fewer cells than a set stays out entirely (`left_out`).
    control
        The group of controls, which makes no sets of its own; None for sets without controls.
    n_controls
        Controls in a set, by default ``set_size``. The t-th is matched to cell ``t % set_size`` of the set.
    match
        Columns in which a control has to agree with its cell: labels, or a frame or mapping of several columns of
        labels, such as ``obs[["batch", "donor"]]``; None to match any control. Each control of a stratum is used about
        equally often, and twice in a set only if the set needs more of them than there are.
    unmatched
        Treatment of cells without a matching control: ``"error"``, or ``"drop"`` to leave them out.
    block_size
        Cells of a group, neighbours in the file, that are put into sets together: 1 is random order, and
        ``block_size=set_size`` reads fastest where cells of a group lie together, and makes sets of neighbours. Blocks
        begin at another cell each epoch, so that sets differ.
    indices
        The rows that take part, as in `SamplingStrategy`.
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

    set_size = Parameter(partial(whole, minimum=1))
    balance = Parameter(partial(one_of, allowed=get_args(Balance)))
    sets_per_group = Parameter(partial(optional_whole, minimum=1))
    remainder = Parameter(partial(one_of, allowed=get_args(Remainder)))
    control: Parameter[Hashable] = Parameter(lambda _, label: label)
    n_controls = Parameter(partial(optional_whole, minimum=1))
    unmatched = Parameter(partial(one_of, allowed=get_args(Unmatched)))
    block_size = Parameter(partial(whole, minimum=1))
    aligned_to = Parameter(partial(one_of, allowed=get_args(AlignedTo)))
    _shuffle_before_yield = False
    _has_values = True
    _prepared: Prepared | None = None

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
        match: object = None,
        unmatched: Unmatched = "error",
        block_size: int = 1,
        indices: ArrayLike | range | None = None,
        aligned_to: AlignedTo = "auto",
    ) -> None:
        super().__init__(indices)
        self.set_size = set_size
        self.balance = balance
        self.sets_per_group = sets_per_group
        self.remainder = remainder
        self.control = control
        self.n_controls = n_controls
        self.unmatched = unmatched
        self.block_size = block_size
        self.aligned_to = aligned_to
        self._names: dict[str, Array] = {}
        self._owners: dict[str, NDArray[np.int64] | None] = {}
        self._match: Strata | None = None
        self.groups = groups
        self.match = match
        self._check_together()
        if self.n_controls is None:
            vars(self)["n_controls"] = 0 if control is None else self.set_size  # 0 may not be asked for
        self._control()
        if self._selection.names is None and not (self._goes_by_names() and self._depends_on_names()):
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
    def groups(self) -> Array:
        """The group of each entry, shape ``(n_groups,)``, decoded on each access; assign others for the next epoch."""
        return self._groups.labels()

    @groups.setter
    def groups(self, groups: ArrayLike | Sequence[Hashable]) -> None:
        encoded = encode_labels(groups, "groups")
        self._keep_names("groups", names_of(groups), encoded)
        self._groups = encoded

    @property
    def match(self) -> dict[str, Array] | None:
        """The columns of labels to match, decoded on each access; assign others for the next epoch."""
        return None if self._match is None else {name: one.labels() for name, one in self._match.columns.items()}

    @match.setter
    def match(self, match: object) -> None:
        strata = None if match is None else Strata.from_columns(match)
        names = None if match is None else names_of_columns(match)
        self._keep_names("match", names, None if strata is None else strata.encoded)
        self._match = strata

    @property
    def n_sets(self) -> int:
        """Number of sets in an epoch."""
        return self._ready().sets.total

    @property
    def left_out(self) -> list[object]:
        """The groups that have cells and yield no set, because ``remainder`` and ``unmatched`` drop them."""
        names: list[object] = self._groups.classes[self._ready().left_out].tolist()
        return names

    def order(self, n_rows: int, seed: int, epoch: int) -> EpochOrder:
        """Return the order of one epoch."""
        shuffles = bool(self._shuffle_before_yield)
        selected = self._selection.rows_of(n_rows)
        if self._selection.count == 0:
            return ListedOrder(np.empty(0, np.int64), n_rows, shuffles=shuffles)
        self._check_located()
        if self._prepared is None or self._targets(n_rows) != self._prepared.targets:
            self._check_together()
            self._prepared = self._prepare(n_rows)
        sets, controls = self._prepared.sets, self._prepared.controls
        shuffled = KeyedPermutation(sets.total, make_key(seed, epoch, "sets"))
        keys = make_key(seed, epoch, "cells"), make_key(seed, epoch, "controls")
        return GroupedOrder(selected, sets, controls, shuffled, *keys, shuffles)

    def _ready(self) -> Prepared:
        if self._prepared is None:
            if self._goes_by_names():
                self._check_located()
            self._prepared = self._prepare(self._least_rows())
        return self._prepared

    def _keep_names(self, name: str, names: Array | None, encoded: ClassCodes | None) -> None:
        """Keep the names that go with the labels of an argument."""
        if encoded is not None:
            self._selection.check_length(name, encoded.codes.size)
        self._owners.pop(name, None)
        self._names.pop(name, None)
        if names is not None:
            self._names[name] = names
        self._forget()

    def _goes_by_names(self) -> bool:
        return bool(self._names) or super()._goes_by_names()

    def _depends_on_names(self) -> bool:
        """Tell whether other names of rows would make other sets and controls, and not only other rows of them."""
        names = list(self._names.values())
        together = len(names) == len(self._labels()) and all(np.array_equal(names[0], other) for other in names[1:])
        return self._selection.count is not None or not together

    def _look_up(self, rows: NamedRows) -> None:
        super()._look_up(rows)
        self._owners = {name: rows_of(name, names, rows) for name, names in self._names.items()}
        self._prepared = None

    def _forget(self) -> None:
        super()._forget()
        self._prepared = None

    def _arrays(self) -> Iterator[Array | Rows]:
        yield from super()._arrays()
        for labels in self._labels().values():
            yield labels.codes
            yield np.asarray(labels.classes)
        yield from (owners for owners in self._owners.values() if owners is not None)
        yield np.array([str(self.sets_per_group), self.unmatched, self.aligned_to])

    def _control(self) -> int:
        return -1 if self.control is None else code_of(self.control, self._groups)

    def _check_together(self) -> None:
        if self.sets_per_group is not None and self.balance != "balanced":
            message = (
                f"sets_per_group={self.sets_per_group} with balance={self.balance!r}, where the size of a group says "
                'how many sets it yields; give balance="balanced", or leave sets_per_group out.'
            )
            raise ArgumentValueError(message)
        if self.control is None and (self._match is not None or self.n_controls):
            given = "match" if self._match is not None else f"n_controls={self.n_controls}"
            message = f"{given} without control; give control, the label that controls have in groups."
            raise ArgumentValueError(message)

    def _labels(self) -> dict[str, ClassCodes]:
        return {"groups": self._groups} | ({} if self._match is None else {"match": self._match.encoded})

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
            "names"
            if self._owners.get(name) is not None
            else self._selection.target(name, codes.codes.size, n_rows, self.aligned_to)
            for name, codes in self._labels().items()
        )

    def _prepare(self, n_rows: int) -> Prepared:
        cells = Cells(
            groups=self._of_selected("groups", self._groups, n_rows),
            labels=self._groups.classes,
            control=self._control(),
            strata=None if self._match is None else self._of_selected("match", self._match.encoded, n_rows),
            match=self._match,
        )
        is_control, is_cell = cells.split(drop_unmatched=self.unmatched == "drop")
        n_controls = self.batch_unit - self.set_size
        members = members_by_code(cells.groups, is_cell, cells.labels.size)
        in_round = cells.sets_in_round(members.sizes, self.set_size, drop=self.remainder == "drop")
        sets = Sets(members, self._first_set(members, in_round), in_round, self.set_size, self.block_size)
        controls = Controls.from_masks(is_control, is_cell, cells.strata, cells.n_strata, n_controls, self.block_size)
        present = count_codes(cells.groups, ~is_control, cells.labels.size) > 0
        return Prepared(self._targets(n_rows), sets, controls, np.flatnonzero(present & (in_round == 0)))

    def _of_selected(self, name: str, codes: ClassCodes, n_rows: int) -> Array:
        owners = self._owners.get(name)
        values, lookup = self._selection.align(name, codes.from_zero(), n_rows, self.aligned_to, owners)
        columns = {name: codes} if name == "groups" or self._match is None else self._match.named("match")
        for column, labels in columns.items():
            if labels.n_missing:
                labels.at(lookup).refuse_missing(column)
        return np.ascontiguousarray(lookup.taken(values))

    def _first_set(self, members: Members, in_round: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the first set of each group, and of all sets."""
        n_sets = in_round
        if self.balance == "balanced":
            average = members.positions.size // (self.set_size * int(np.count_nonzero(in_round)))
            n_sets = (in_round > 0) * (self.sets_per_group or max(average, 1))
        return np.concatenate([[0], np.cumsum(n_sets)])

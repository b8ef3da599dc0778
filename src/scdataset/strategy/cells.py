"""The groups of the selected rows: which are cells, which are controls, and which cells have a matching control."""

from collections.abc import Hashable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.labels import ClassCodes
from scdataset.strategy.sets import count_codes
from scdataset.strategy.strata import Strata

__all__ = ["Cells", "code_of"]

_N_NAMED = 3
"""Groups that an error names."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The selected rows as groups and strata.

    Attributes
    ----------
    groups, labels
        Row k is in the group ``labels[groups[k]]``; shapes ``(n_selected,)`` and ``(n_groups,)``.
    control
        Code of the group of controls, -1 for none.
    strata, match
        Stratum of each row, shape ``(n_selected,)``, and the labels of the strata; both None if any control matches.
    """

    groups: Array
    labels: Array
    control: int
    strata: Array | None
    match: Strata | None

    @property
    def n_strata(self) -> int:
        """Number of strata."""
        return 1 if self.match is None else self.match.encoded.classes.size

    def split(self, *, drop_unmatched: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which rows are controls and which are cells to make sets of, each of shape ``(n_selected,)``.

        Raises
        ------
        ArgumentValueError
            If there are no controls although they are asked for, or no cells; and for cells without a control that
            matches, unless they are to be dropped.
        """
        is_control = self.groups == self.control
        if is_control.all() or not (self.control < 0 or is_control.any()):
            n_controls = int(np.count_nonzero(is_control))
            message = (
                f"control={self.labels.tolist()[self.control]!r}: {n_controls:,} of the "
                f"{counted(is_control.size, 'selected row')} {verb(n_controls, 'are')} controls; select rows "
                "of both kinds."
            )
            raise ArgumentValueError(message)
        is_cell = ~is_control
        if self.strata is not None:
            has_control = count_codes(self.strata, is_control, self.n_strata) > 0
            unmatched = is_cell & ~has_control[self.strata]
            if unmatched.any() and not drop_unmatched:
                raise ArgumentValueError(self._unmatched(unmatched, int(np.count_nonzero(is_cell))))
            is_cell &= ~unmatched
        return is_control, is_cell

    def sets_in_round(self, sizes: NDArray[np.int64], set_size: int, *, drop: bool) -> NDArray[np.int64]:
        """Return how many sets the cells of each group make, shape ``(n_groups,)``, and refuse it if none do."""
        in_round = sizes // set_size if drop else -(-sizes // set_size)
        if in_round.any():
            return in_round
        largest = int(sizes.max())
        message = (
            f'set_size={set_size} with remainder="drop" leaves no set, since the largest group has '
            f'{counted(largest, "cell")}; give set_size of at most {largest}, or remainder="pad".'
        )
        if largest == 0:
            message = 'unmatched="drop" leaves no cell, since no control matches any; match by fewer columns.'
        raise ArgumentValueError(message)

    def _unmatched(self, unmatched: NDArray[np.bool_], n_cells: int) -> str:
        assert self.strata is not None and self.match is not None  # noqa: PT018, S101 only called with strata
        labels = self.labels.tolist()
        counts = count_codes(self.groups, unmatched, self.labels.size)
        most = [int(g) for g in np.argsort(-counts, kind="stable")[:_N_NAMED] if counts[g]]
        named = ", ".join(f"{labels[g]!r} ({counts[g]})" for g in most)
        more = ", ..." if np.count_nonzero(counts) > len(most) else ""
        first = int(np.argmax(unmatched))
        return (
            f"{counts.sum():,} of {counted(n_cells, 'cell')}, in {counted(int(np.count_nonzero(counts)), 'group')}, "
            f"{verb(int(counts.sum()), 'have')} no control {labels[self.control]!r} that matches: {named}{more}. One "
            f"of them is a cell of {labels[self.groups[first]]!r} with {self.match.label(int(self.strata[first]))}. "
            'Give unmatched="drop" to leave such cells out, or match by fewer columns.'
        )


def code_of(control: Hashable, groups: ClassCodes) -> int:
    """Return the code of the group of controls; an unknown one is answered with the names that come nearest."""
    present = dict(zip(groups.classes.tolist(), groups.counts.tolist(), strict=True))
    try:
        known = present.get(control, 0) > 0
    except TypeError as error:
        message = f"control={control!r} is of type {type(control).__name__}; give one label, as it stands in groups."
        raise ArgumentTypeError(message) from error
    if known:
        return list(present).index(control)
    names = [str(name) for name, count in present.items() if count]
    near = get_close_matches(str(control), names, _N_NAMED, cutoff=0.4) or names[:_N_NAMED]
    message = (
        f"control={control!r} is not among the {counted(len(names), 'group')}; give one of them, such as "
        f"{', '.join(map(repr, near))}."
    )
    raise ArgumentValueError(message)

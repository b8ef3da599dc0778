"""Controls matched to the cells of a set: each of the stratum of one cell.

The controls of a stratum are permuted and dealt out to one set after the other, from where the set before would end if
every set had as many cells of the stratum as the average one; when they are used up, that is a lap, another permutation
follows::

    controls of a stratum of 10     |5 0 8 2 9 3 7 1 6 4|1 4 0 3 6 7 5 9 8 2|
    sets with 3 cells of it          -----               -----
                                           -----               -----
                                                 -----               -----
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled
from scdataset._types import Array
from scdataset.strategy.sets import Members, Sets, cells_of_set, count_codes, drawn, members_by_code, split_key

__all__ = ["Controls", "sets_with_controls"]


class Controls(NamedTuple):
    """The controls of an epoch.

    Attributes
    ----------
    members
        The controls of each stratum.
    strata
        Stratum of each position, shape ``(n_selected,)``; shape ``(0,)`` where there is one stratum.
    sets_in_lap
        Sets that a lap through the controls of each stratum serves, shape ``(n_strata,)``.
    n_controls
        Controls of a set; 0 for none.
    block_size
        Controls of a stratum, neighbours in the file, that stay together.
    """

    members: Members
    strata: Array
    sets_in_lap: NDArray[np.int64]
    n_controls: int
    block_size: int

    @classmethod
    def from_masks(
        cls,
        is_control: NDArray[np.bool_],
        is_cell: NDArray[np.bool_],
        strata: Array | None,
        n_strata: int,
        n_controls: int,
        block_size: int,
    ) -> "Controls":
        """Sort controls by stratum, and plan laps from the number of cells in each.

        Parameters
        ----------
        is_control, is_cell
            Which positions are controls, and which are cells that need some; shape ``(n_selected,)``.
        strata
            Stratum of each position, in [0, n_strata); None for one stratum.
        """
        codes = np.zeros(is_control.size, np.uint8) if strata is None else strata
        members = members_by_code(codes, is_control, n_strata)
        n_cells = count_codes(codes, is_cell, n_strata)
        share = members.sizes * int(n_cells.sum()) // np.maximum(n_cells * max(n_controls, 1), 1)
        return cls(
            members, np.empty(0, np.uint8) if strata is None else strata, np.maximum(share, 1), n_controls, block_size
        )


@compiled
def sets_with_controls(
    first_place: int,
    numbers: NDArray[np.int64],
    sets: Sets,
    controls: Controls,
    cells_key: np.uint64,
    controls_key: np.uint64,
) -> NDArray[np.int64]:
    """Return the positions of sets and of their controls, shape ``(n_sets, set_size + n_controls)``.

    Parameters
    ----------
    first_place
        Place in the epoch of the first of these sets, which follow each other there.
    numbers
        Number of each set in ``sets``, shape ``(n_sets,)``.
    """
    out = np.empty((numbers.size, sets.set_size + controls.n_controls), np.int64)
    used = np.zeros(controls.sets_in_lap.size, np.int64)
    for k in range(numbers.size):
        cells = cells_of_set(numbers[k], sets, cells_key)
        for i in range(cells.size):  # a slice that is set takes longer to compile than all else here
            out[k, i] = cells[i]
        _match(first_place + k, cells, controls, controls_key, used, out[k, cells.size :])
    return out


@compiled
def _match(
    place: int,
    cells: NDArray[np.int64],
    controls: Controls,
    key: np.uint64,
    used: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Fill ``out`` with controls, the t-th for cell ``t % set_size``; ``used`` is 0 for every stratum."""
    t = 0
    while t < out.size:
        stratum = _stratum(cells[t % cells.size], controls.strata)
        run = 1
        while t + run < out.size and _stratum(cells[(t + run) % cells.size], controls.strata) == stratum:
            run += 1
        first, last = controls.members.first[stratum], controls.members.first[stratum + 1]
        lap, offset = divmod(place, controls.sets_in_lap[stratum])
        start = offset * (last - first) // controls.sets_in_lap[stratum] + used[stratum]
        places = drawn(start, run, last - first, controls.block_size, split_key(key, stratum, lap))
        for i in range(run):
            out[t + i] = controls.members.positions[first + places[i]]
        used[stratum] += run
        t += run
    for t in range(out.size):
        used[_stratum(cells[t % cells.size], controls.strata)] = 0


@compiled
def _stratum(position: int, strata: Array) -> int:
    return int(strata[position]) if strata.size else 0

"""Sets of batches of an epoch, stored as intervals: small however many batches there are."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Self

from scdataset._properties import cached_property

__all__ = ["IntervalSet"]


@dataclass(frozen=True)
class IntervalSet:
    """A sorted set of integers, stored as intervals; place k is that of the k-th integer.

    Attributes
    ----------
    runs
        Ranges of step 1 that ascend, do not touch and are not empty.
    """

    runs: tuple[range, ...]

    @classmethod
    def from_ranges(cls, runs: Iterable[range]) -> Self:
        """Return the union of some ranges of step 1, in any order."""
        merged: list[range] = []
        for run in sorted((run for run in runs if len(run)), key=lambda run: run.start):
            if merged and run.start <= merged[-1].stop:
                merged[-1] = range(merged[-1].start, max(run.stop, merged[-1].stop))
            else:
                merged.append(run)
        return cls(tuple(merged))

    @cached_property
    def _places(self) -> list[int]:
        """Place of the first number of each run, and the count of all."""
        return list(accumulate((len(run) for run in self.runs), initial=0))

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return self._places[-1]

    def at(self, start: int, stop: int) -> list[range]:
        """Return the numbers in places [start, stop), as runs."""
        found = []
        number = bisect_right(self._places, start) - 1
        while start < stop:
            run, offset = self.runs[number], start - self._places[number]
            found.append(run[offset : offset + stop - start])
            start += len(found[-1])
            number += 1
        return found

    def without(self, others: "IntervalSet") -> "IntervalSet":
        """Return the numbers that are not in ``others``."""
        remaining = []
        cuts = iter((*others.runs, range(self.runs[-1].stop, self.runs[-1].stop + 1)) if self.runs else ())
        cut = next(cuts, range(0))
        for run in self.runs:
            start = run.start
            while cut.start < run.stop:
                remaining.append(range(start, max(start, cut.start)))
                start = max(start, cut.stop)
                if cut.stop > run.stop:
                    break
                cut = next(cuts)
            remaining.append(range(start, run.stop))
        return IntervalSet(tuple(run for run in remaining if len(run)))

    def aligned(self, size: int) -> "IntervalSet":
        """Return the windows that lie wholly in this set; window w is the numbers from ``w * size`` on."""
        return IntervalSet.from_ranges(range(-(-run.start // size), run.stop // size) for run in self.runs)

"""Choose cases at random, try them, and count what came of them."""

import contextlib
import multiprocessing
from collections import Counter
from dataclasses import dataclass

import numpy as np
from tests.soak.damage.cached import Cached
from tests.soak.damage.changing import Changing
from tests.soak.damage.children import FAILED
from tests.soak.damage.damaged import Damaged
from tests.soak.damage.failing import Failing, is_preloaded
from tests.soak.damage.sources import SOURCES, Files
from tests.soak.damage.states import States

KINDS = (Damaged, Cached, Failing, States, Changing)
_SHARES = {"damaged": 0.45, "cached": 0.13, "failing": 0.15, "state": 0.07, "changing": 0.2}
"""The share of each kind in all cases."""


@dataclass(frozen=True)
class Case:
    """A file and what is done to it."""

    kind: str
    file: str
    harm: str
    seed: int


class Cases:
    """The cases there are, of kinds, files and harms whose names have one of some parts, which commas divide."""

    def __init__(self, folder, kinds="", files="", harms=""):
        there = Files(folder)
        made = [kind(there) for kind in KINDS if _fits(kind.name, kinds) and (kind is not Failing or is_preloaded())]
        self._kinds = {kind.name: kind for kind in made}
        self._chosen = {
            kind.name: ([n for n in kind.files if _fits(n, files)], [n for n in kind.harms if _fits(n, harms)])
            for kind in made
        }
        self._chosen = {name: both for name, both in self._chosen.items() if all(both)}
        for name, (names, _) in self._chosen.items():
            for file in names:
                self._kinds[name].prepare(file)

    def drawn(self, count, seed):
        """Return so many cases."""
        rng = np.random.default_rng(seed)
        names = list(self._chosen)
        shares = np.array([_SHARES[name] for name in names])
        kinds = rng.choice(names, count, p=shares / shares.sum())
        return [
            Case(str(kind), *(str(rng.choice(those)) for those in self._chosen[kind]), int(rng.integers(2**40)))
            for kind in kinds
        ]

    def word(self, case):
        """Try a case; return what came of it, told as a failure where it is one."""
        kind = self._kinds[case.kind]
        word = kind.run(case)
        if kind.right_only and word.startswith("other values"):
            return f"raised {word}"
        return word


def _fits(name, parts):
    return any(part in name for part in parts.split(","))


def run_all(cases, drawn):
    """Try cases, or fewer if interrupted; return outcomes by count, and cases that failed and how.

    Outcomes are counted by kind, group of files, and word.
    """
    outcomes, failures = Counter(), []
    with contextlib.suppress(KeyboardInterrupt):
        for case in drawn:
            word = cases.word(case)
            outcomes[case.kind, _group(case), word.split(":")[0]] += 1
            if word.startswith(FAILED):
                failures.append((case, word))
    return outcomes, failures


def run_in_processes(count, seed, folder, parts, n_processes):
    """As `run_all`, of cases that several forked processes share out."""
    cases = Cases(folder, *parts)
    drawn = cases.drawn(count, seed)
    if n_processes == 1:
        return run_all(cases, drawn)
    jobs = [drawn[first::n_processes] for first in range(n_processes)]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=lambda job=job: queue.put(run_all(cases, job))) for job in jobs]
    for worker in workers:
        worker.start()
    results = [queue.get() for _ in workers]
    for worker in workers:
        worker.join()
    return sum((outcomes for outcomes, _ in results), Counter()), [one for _, failures in results for one in failures]


def _group(case):
    return SOURCES[case.file].group if case.file in SOURCES else case.file


def _column(word):
    """Return the column of the table that a word counts in."""
    for start, column in (
        ("right values", "right"),
        ("other values", "other values"),
        ("the library itself", "library alone"),
        ("hung", "hang"),
        ("died", "crash"),
        ("took", "memory"),
        ("raised other values", "wrong"),
        ("raised", "raw error"),
    ):
        if word.startswith(start):
            return column
    return "typed error"


_COLUMNS = (
    "cases", "right", "typed error", "other values", "library alone", "wrong", "raw error", "hang", "crash", "memory",
)  # fmt: skip


def table(outcomes):
    """Return outcomes as lines of text, a line for each kind and group of files."""
    counts = Counter()
    for (kind, group, word), n in outcomes.items():
        for row in ((kind, group), ("all", "")):
            counts[row, _column(word)] += n
            counts[row, "cases"] += n
    rows = sorted({row for row, _ in counts}, key=lambda row: (row[0] == "all", row))
    lines = [["", "", *_COLUMNS], *([*row, *(str(counts[row, column]) for column in _COLUMNS)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + "\n" for line in lines
    )

"""Timed loops over a collection."""

import json

import numpy as np
import pytest

from scdataset.insight import trials
from scdataset.insight.trials import Bench, Trial


class Clock:
    """Goes on by a hundredth of a second each time somebody looks."""

    now = 0.0

    def __call__(self):
        self.now += 0.01
        return self.now


class Shared:
    """Rows, read by threads."""

    def __init__(self, threads):
        self.num_threads, self.shares = threads, []

    def __len__(self):
        return 10_000

    def __getitem__(self, rows):
        return np.asarray(rows)

    def share_threads(self, processes):
        self.shares.append(processes)


def test_rows_a_second_are_those_of_whole_windows():
    clock = Clock()
    bench = Bench(np.arange(10_000), 10, 100.0, clock)
    rate = bench.rate(4, 5, None, 0.0)
    assert rate == pytest.approx(5 * 10 / 0.02, rel=0.6)
    assert bench.left < 100


def test_a_bench_without_time_left_takes_one_window():
    bench = Bench(np.arange(10_000), 10, 0.0, Clock())
    assert bench.rate(4, 5, None, 1e9) > 0


@pytest.mark.parametrize(("threads", "cores", "counts"), [(8, 8, [8, 4]), (3, 8, [3]), (1, 1, [1])])
def test_all_threads_and_half_of_them_are_tried_where_they_go_by_the_cores(monkeypatch, threads, cores, counts):
    monkeypatch.setattr(trials, "usable_cores", lambda: cores)
    assert Bench(Shared(threads), 10, 1.0).thread_counts == counts
    assert Bench(np.arange(9), 10, 1.0).thread_counts == [None]


def test_threads_are_given_back(monkeypatch):
    monkeypatch.setattr(trials, "usable_cores", lambda: 8)
    cells = Shared(8)
    Bench(cells, 10, 0.0, Clock()).rate(4, 5, 4, 0.0)
    assert cells.shares == [2, 1]


def test_a_trial_is_shown_in_short_and_as_json_holds_it():
    trial = Trial(8, 16, None, 1234.5, 0.987, 5_000_000)
    assert str(trial) == "1,234 rows a second, 98.7%, 4.77 MiB"
    assert Trial(**json.loads(json.dumps(trial.as_dict()))) == trial


class Counted:
    """Rows that note how many are read."""

    def __init__(self):
        self.n_read = 0

    def __len__(self):
        return 10_000

    def __getitem__(self, rows):
        self.n_read += len(rows)
        return np.asarray(rows)


def test_windows_of_a_new_size_are_read_before_they_are_timed():
    cells = Counted()
    bench, read = Bench(cells, 10, 0.0, Clock()), []
    for factor in (5, 5, 8, 5):
        before = cells.n_read
        bench.rate(1, factor, None, 0.0)
        read.append((cells.n_read - before) // (10 * factor))
    assert read[0] == read[2] == read[3] > read[1] + 1

"""Counts of iterations, added up over processes."""

import json
import pickle
from dataclasses import asdict

import numpy as np

from scdataset.dataset import monitor
from scdataset.dataset.monitor import COMPILE, LOOP, MODEL, WAIT, Monitor, Totals, waiting
from scdataset.engine.observer import Observer, observing


def test_totals_add_up_by_name():
    one = Totals({"batches": 2}, {LOOP: 1.0}, {LOOP: 3.0}, {"rows_in_flight": 7}, 2.0, 1)
    other = Totals({"batches": 3, "windows": 1}, {WAIT: 0.5}, {}, {}, 1.0, 1)
    both = one.plus(other)
    assert both.counts == {"batches": 5, "windows": 1}
    assert both.seconds == {LOOP: 1.0, WAIT: 0.5}
    assert (both.levels, both.elapsed, both.processes) == ({"rows_in_flight": 7}, 3.0, 2)


def test_time_of_workers_that_iterate_together_counts_once():
    observer = Observer()
    observer.add(MODEL, 6.0)
    assert Totals.from_observer(observer, 3).elapsed == 2.0
    assert Totals.from_observer(observer, 3).processes == 0


def test_nothing_is_counted_before_somebody_asks():
    asked = Monitor()
    asked.publish(at_once=True)
    assert asked.totals() == Totals()
    assert asked.observer is None
    with waiting(None):
        pass


def test_waiting_is_timed_with_the_compiling_in_it(monkeypatch):
    seconds = iter([1.0, 1.25])
    monkeypatch.setattr(monitor, "compile_seconds", lambda: next(seconds))
    clock = iter(np.arange(0.0, 100))
    with observing(Observer(lambda: float(next(clock)))) as observer, waiting(observer):
        pass
    assert observer.seconds()[WAIT] >= 1
    assert observer.seconds()[COMPILE] == 0.25


def test_totals_of_workers_are_read_and_damaged_ones_are_not():
    asked = Monitor()
    asked.begin()
    asked._folder.mkdir()
    (asked._folder / "a.json").write_text(json.dumps(asdict(Totals({"batches": 4}, processes=1))))
    (asked._folder / "b.json").write_text("{")
    assert asked.totals().counts["batches"] == 4
    folder = asked._folder
    del asked
    assert not folder.exists()


def test_a_copy_counts_for_itself():
    asked = Monitor()
    asked.begin()
    assert pickle.loads(pickle.dumps(asked)).observer is None

"""tune: the fastest setting within memory and diversity, of those that were measured."""

import json
from functools import cache

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import scdataset
from scdataset import (
    ArgumentTypeError,
    ArgumentValueError,
    BlockShuffling,
    CollectionError,
    open_collection,
    scDataset,
    tune,
)
from scdataset.insight import diversity
from scdataset.insight.trials import Bench
from scdataset.insight.tune import _Search

LABELS = np.arange(5_000) // 625
QUICK = {"seconds": 0.05, "verbose": False}


@pytest.fixture
def cells(tmp_path):
    obs = pd.DataFrame({"plate": pd.Categorical((np.arange(1000) // 125).astype(str))}, np.arange(1000).astype(str))
    counts = scipy.sparse.random(1000, 20, 0.3, format="csr", dtype=np.float32, random_state=0)
    anndata.AnnData(counts, obs=obs).write_h5ad(tmp_path / "a.h5ad")
    return open_collection(tmp_path / "a.h5ad", num_threads=2)


def test_it_suggests_a_setting_that_can_be_passed_on(cells):
    tuned = tune(cells, 16, labels="plate", **QUICK)
    dataset = scDataset(cells, tuned.strategy(), **tuned.options, seed=0)
    assert isinstance(dataset.strategy, BlockShuffling)
    assert (dataset.strategy.block_size, dataset.fetch_factor) == (tuned.block_size, tuned.fetch_factor)
    assert tuned.threads in (1, 2)
    assert tuned.rows_per_second > 0
    assert tuned.best in tuned.trials
    assert cells.num_threads == 2  # as before
    json.dumps(tuned.as_dict(), allow_nan=False)


@cache
def share_of(block, factor, batch_size):
    return diversity(LABELS, block, factor, batch_size).share


def exhaustive(rate, batch_size, memory_rows, share):
    """Return the best rate over all powers of two within the same limits."""
    return max(
        rate(2**b, 2**f)
        for f in range(9)
        for b in range(13)
        if 2 * 2**f * batch_size <= min(memory_rows, LABELS.size)
        and 2**b <= 2**f * batch_size // 2
        and (b == 0 or share_of(2**b, 2**f, batch_size) >= share)
    )


RATES = {
    "larger blocks are faster": lambda b, f: 1e5 * b / (b + 16),
    "larger windows are faster": lambda b, f: 1e5 * f / (f + 8),
    "both": lambda b, f: 1e5 * b / (b + 4) * f / (f + 30),
    "large windows leave the cache": lambda b, f: 1e5 * b / (b + 2) / (1 + (f / 40) ** 2),
}


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize(("share", "memory_rows"), [(0.99, 40_000), (0.9, 2_500), (1.0, 40_000)])
def test_it_finds_the_best_of_an_exhaustive_search_under_the_same_limits(monkeypatch, name, share, memory_rows):
    rate = RATES[name]
    monkeypatch.setattr(_Search, "_share_of", lambda self, block, factor: share_of(block, factor, 16))
    monkeypatch.setattr(Bench, "rate", lambda self, block, factor, threads, seconds: rate(block, factor))
    rows = np.zeros((LABELS.size, 1024), np.uint8)
    memory = memory_rows * 1024 + (9 << 20)
    tuned = tune(rows, 16, labels=LABELS, memory=memory, diversity=share, seconds=1000, verbose=False)
    assert tuned.best.peak_bytes <= memory
    assert tuned.block_size == 1 or tuned.best.share >= share
    assert tuned.rows_per_second >= 0.9 * exhaustive(rate, 16, memory_rows, share)


def test_the_frontier_is_of_trials_that_none_beats():
    tuned = tune(np.zeros((2000, 5)), 16, **QUICK)
    frontier = tuned.frontier
    for one in frontier:
        assert not any(o.share > one.share and o.rows_per_second > one.rows_per_second for o in tuned.trials)
    assert [one.share for one in frontier] == sorted((one.share for one in frontier), reverse=True)
    assert tuned.labels == "stretches of the file"


def test_it_prints_the_result_unless_told_not_to(capsys):
    tuned = tune(np.zeros((500, 5)), 16, seconds=0.01)
    assert capsys.readouterr().out == f"{tuned}\n"
    tune(np.zeros((500, 5)), 16, **QUICK)
    assert not capsys.readouterr().out
    assert tuned._repr_html_().startswith("<table>")
    assert "rows a second" in str(tuned)


@pytest.mark.parametrize(
    ("given", "n_bytes"), [("4 GiB", 4 << 30), ("500 MB", 500_000_000), ("1.5gib", 3 << 29), (10**9, 10**9)]
)
def test_memory_is_a_number_or_has_a_unit(given, n_bytes):
    assert tune(np.zeros((500, 5)), 16, memory=given, **QUICK).memory == n_bytes


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"memory": "3 apples"}, ArgumentValueError, "memory='3 apples' is no size"),
        ({"memory": "0 GB"}, ArgumentValueError, "memory='0 GB' is no size"),
        ({"memory": -1}, ArgumentValueError, "memory=-1"),
        ({"memory": None}, ArgumentTypeError, "memory=None is of type NoneType"),
        ({"memory": "1 kB"}, ArgumentValueError, "does not hold windows of one batch"),
        ({"diversity": 0}, ArgumentValueError, r"diversity=0; give a share of true random order in \(0, 1\]"),
        ({"diversity": 1.5}, ArgumentValueError, "diversity=1.5"),
        ({"diversity": "much"}, ArgumentTypeError, "diversity='much'"),
        ({"labels": "plate"}, ArgumentTypeError, "names a column of obs"),
        ({"labels": [1, 2]}, ArgumentValueError, "2 entries and the collection 500 rows"),
        ({"batch_size": 0}, ArgumentValueError, "batch_size=0"),
        ({"batch_size": 501}, ArgumentValueError, "has 500 rows, and batch_size=501"),
        ({"seconds": 0}, ArgumentValueError, "seconds=0"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        tune(np.zeros((500, 5)), **{"batch_size": 16, "verbose": False, **options})


def test_a_column_that_is_not_there_and_empty_collections_are_refused(cells):
    with pytest.raises(ArgumentValueError, match=r"plat.*plate"):
        tune(cells, 16, labels="plat", verbose=False)
    with pytest.raises(ArgumentValueError, match="has 0 rows"):
        tune(np.zeros((0, 5)), 16, verbose=False)
    with pytest.raises(CollectionError):
        tune(object(), 16, verbose=False)


def test_an_interrupt_ends_it_and_leaves_the_threads_as_they_were(cells, monkeypatch):
    def interrupted(self, dataset, seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(Bench, "_timed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(cells, 16, verbose=False)
    assert cells.num_threads == 2


def test_the_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    figure = tune(np.zeros((2000, 5)), 16, **QUICK).plot(tmp_path / "tuned.png")
    assert (tmp_path / "tuned.png").stat().st_size > 5_000
    assert figure.axes[0].get_ylabel() == "rows a second"


def test_it_is_a_public_name():
    assert scdataset.tune is tune

"""Where the time of a loop goes: four staged situations, counts that are exact, and workers that report."""

import copy
import dataclasses
import gc
import multiprocessing
import pickle
from pathlib import Path

import anndata
import numpy as np
import pytest
from tests.children import CONTEXT
from tests.written import cells, counts
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, Streaming, open_collection, scDataset
from scdataset.dataset import monitor
from scdataset.dataset.monitor import Totals
from scdataset.engine.arrays import chunked_arrays
from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.observer import Observer
from scdataset.insight.stats import LoaderStats
from scdataset.transforms import Compose, Log1p, ToTorch

N_ROWS, BATCH = 96, 8


class Clock:
    """A clock that only goes on where a test says that something takes time."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def slow(self, function, seconds):
        """Return a function that takes so long."""

        def slowed(*arguments, **options):
            self.now += seconds
            return function(*arguments, **options)

        return slowed


@pytest.fixture
def clock(monkeypatch):
    """Return the only clock there is: functions are compiled in no time."""
    monkeypatch.setattr(monitor, "compile_seconds", lambda: 0.0)
    return Clock()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("stats") / "a.h5ad"
    cells(counts(N_ROWS, 30)).write_h5ad(path, compression="gzip")
    return str(path)


def made(source, clock, **options):
    options = {"prefetch": 0, "fetch_factor": 3, **options}
    dataset = scDataset(source, BlockShuffling(4), BATCH, seed=0, **options)
    dataset.stats()
    dataset._monitor.observer = Observer(clock)
    return dataset


def stats_of(path, clock, model=0.0, **options):
    with open_collection(path, num_threads=1) as collection:
        dataset = made(collection, clock, **options)
        for _ in dataset:
            clock.now += model
        return dataset.stats()


def test_a_slow_disk_is_named(path, clock, monkeypatch):
    monkeypatch.setattr(LocalFile, "read_unchecked", clock.slow(LocalFile.read_unchecked, 1.0))
    stats = stats_of(path, clock, model=0.01, batch_transform=clock.slow(lambda batch: batch, 0.01))
    assert stats.bottleneck == "disk"
    assert stats.waiting_for_disk == stats.waiting_for_windows == stats.seconds_reading == float(stats.requests)
    assert stats.verdict.startswith("The disk takes 9")
    assert "block_size" in stats.verdict


def test_slow_decoding_is_named(path, clock, monkeypatch):
    monkeypatch.setattr(chunked_arrays, "decode", clock.slow(chunked_arrays.decode, 1.0))
    stats = stats_of(path, clock, model=0.01)
    assert stats.bottleneck == "decoding"
    assert stats.seconds_decoding == float(stats.chunks_decoded) > 0
    assert stats.verdict.startswith("Decoding takes 9")


@pytest.mark.parametrize("hook", ["fetch_transform", "batch_callback", "batch_transform", "fetch_callback"])
@pytest.mark.parametrize("prefetch", [0, 1])
def test_a_slow_hook_is_named(path, clock, hook, prefetch):
    def normalise(batch, positions=None):
        clock.now += 1.0
        return batch if positions is None else batch[positions]

    stats = stats_of(path, clock, model=0.01, prefetch=prefetch, **{hook: normalise})
    assert stats.bottleneck == hook
    n_calls = N_ROWS // BATCH // (3 if hook.startswith("fetch") else 1)
    assert dict(stats.hooks) == {hook: float(n_calls)}
    assert stats.verdict.startswith(f"Your {hook} (")
    assert "normalise) takes 9" in stats.verdict


@pytest.mark.parametrize("prefetch", [0, 1])
def test_a_slow_model_is_named(path, clock, prefetch):
    stats = stats_of(path, clock, model=1.0, prefetch=prefetch)
    assert stats.bottleneck == "model"
    assert stats.waiting_for_model == stats.seconds == N_ROWS / BATCH
    assert stats.rows_per_second == BATCH
    assert "faster loader would gain nothing" in stats.verdict


class Slow:
    """A collection that takes a second for a read."""

    def __init__(self, clock):
        self.clock = clock

    def __len__(self):
        return N_ROWS

    def __getitem__(self, rows):
        self.clock.now += 1.0
        return np.asarray(rows)


def test_a_slow_collection_of_the_users_is_named(clock):
    dataset = made(Slow(clock), clock)
    list(dataset)
    assert dataset.stats().bottleneck == "collection"


class Ahead:
    runs_ahead = True

    def __init__(self, clock):
        self.clock = clock

    def __call__(self, window):
        self.clock.now += 1.0
        return window


def test_a_transform_that_runs_ahead_counts_as_far_as_the_loop_waits_for_it(path, clock):
    stats = stats_of(path, clock, prefetch=1, fetch_transform=Ahead(clock))
    assert set(stats.hooks) == {"fetch_transform"}
    assert stats.hooks["fetch_transform"] <= 4.0


def figures(whole, seconds, **hooks):
    """Return the figures of a loop that took 10 seconds, by its phases."""
    totals = Totals({"batches": 1}, seconds, {"loop": 10.0, **whole}, {}, 10.0, 1)
    return LoaderStats.from_totals(totals, scDataset(np.arange(9), Streaming(), 2, **hooks)._hooks)


def test_a_wait_is_divided_by_the_work_that_was_waited_for():
    busy = {"read": 3.0, "decode": 8.0, "scatter": 1.0}
    stats = figures(
        {"wait": 8.0, "ahead": 1.0, "window": 3.0, "fetch_transform": 1.0}, busy, fetch_transform=Ahead(None)
    )
    assert stats.hooks == {"fetch_transform": 2.0}
    assert (stats.waiting_for_disk, stats.waiting_for_decoding) == (1.5, 4.5)
    assert stats.cutting == 2.0
    assert sum(stats.shares.values()) == pytest.approx(1)


def test_compiling_is_not_taken_for_a_slow_disk():
    stats = figures({"wait": 8.0, "window": 9.0}, {"read": 9.0, "compile": 7.0})
    assert stats.bottleneck == "compiler"
    assert (stats.waiting_for_compiler, stats.waiting_for_disk) == (7.0, 1.0)
    assert "once for a machine" in stats.verdict


def test_compiling_counts_while_the_loop_waits_for_a_window(clock, monkeypatch):
    monkeypatch.setattr(monitor, "compile_seconds", lambda: min(clock.now, 2.0))  # in the first two windows
    dataset = made(Slow(clock), clock)
    for _ in dataset:
        clock.now += 0.125
    stats = dataset.stats()
    assert (stats.waiting_for_compiler, stats.waiting_for_collection) == (1.625, 2.375)


def test_batches_that_are_made_in_the_background_count_as_far_as_the_loop_waits_for_them():
    whole = {"wait": 1.0, "window": 9.0, "wait for batches": 6.0, "fetch_transform": 9.5}
    stats = figures(whole, {"read": 9.0}, fetch_transform=Ahead(None))
    assert stats.bottleneck == "fetch_transform"
    assert (stats.hooks["fetch_transform"], stats.waiting_for_disk, stats.cutting) == (6.0, 1.0, 3.0)


def test_to_torch_as_fetch_transform_is_a_hook_of_its_name(path):
    with open_collection(path) as collection:
        dataset = scDataset(collection, BlockShuffling(4), BATCH, 3, fetch_transform=ToTorch())
        dataset.stats()
        list(dataset)
        stats = dataset.stats()
    assert stats.hook_names == {"fetch_transform": "ToTorch"}
    assert stats.rows == N_ROWS


ADVICE = {
    "while it runs ahead": (1, {"fetch_transform": ToTorch()}, "while you train already"),
    "with nothing ahead": (0, {"fetch_transform": ToTorch()}, "with prefetch=1"),
    "in the loop": (1, {"batch_transform": ToTorch()}, "Give it as fetch_transform"),
    "several in the loop": (1, {"batch_transform": Compose(Log1p(), ToTorch())}, "Give it as fetch_transform"),
    "with one of the user's": (
        1,
        {"batch_transform": Compose(Log1p(), dict)},
        "with a transform of scdataset.transforms",
    ),
}


@pytest.mark.parametrize("case", ADVICE)
def test_transforms_of_the_package_are_told_where_to_run_rather_than_to_be_used(case):
    prefetch, hooks, advice = ADVICE[case]
    [name] = hooks
    whole = {name: 9.0, **({"wait for batches": 9.0} if prefetch and name == "fetch_transform" else {})}
    verdict = figures(whole, {}, **hooks).verdict
    assert advice in verdict
    assert ("scdataset.transforms" in verdict) is (case == "with one of the user's")


def test_to_torch_is_known_to_run_ahead_or_in_the_loop(path):
    with open_collection(path) as collection:
        for prefetch, place in ((1, "background"), (0, "loop")):
            dataset = scDataset(collection, BlockShuffling(4), BATCH, 3, fetch_transform=ToTorch(), prefetch=prefetch)
            dataset.stats()
            list(dataset)
            assert dataset.stats().hook_places == {"fetch_transform": place}


@pytest.mark.parametrize("prefetch", [0, 1])
def test_backed_anndata_is_observed_as_files_are(path, prefetch):
    backed = anndata.read_h5ad(path, backed="r")
    dataset = scDataset(backed, BlockShuffling(4), BATCH, 3, prefetch=prefetch)
    dataset.stats()
    list(dataset)
    assert dataset.stats().chunks_decoded > 0
    backed.file.close()


def test_the_second_cause_is_named_if_it_is_notable(path, clock):
    stats = stats_of(path, clock, model=1.0, batch_transform=clock.slow(lambda batch: batch, 0.5))
    assert "takes 67% of the time; next is your batch_transform, 33%." in stats.verdict


def test_rows_and_batches_are_exact_at_any_moment(path):
    for dataset in (
        scDataset(np.arange(50), BlockShuffling(4), 8, 2, seed=0),
        scDataset(np.arange(50), BlockShuffling(4), 8, 2, seed=0, fetch_transform=lambda window: window),
        scDataset(open_collection(path), Streaming(), 7, 3),
    ):
        assert dataset.stats().rows == 0
        rows = 0
        for n_batches, batch in enumerate(dataset, 1):
            rows += len(batch)
            stats = dataset.stats()
            assert (stats.rows, stats.batches) == (rows, n_batches)


def test_counting_may_begin_within_an_epoch():
    dataset = scDataset(np.arange(50), BlockShuffling(4), 8, 2, seed=0, fetch_transform=lambda window: window)
    batches = iter(dataset)
    next(batches)
    dataset.stats()
    assert sum(map(len, batches)) == 42
    assert (dataset.stats().rows, dataset.stats().batches) == (42, 6)


def test_nothing_is_counted_and_no_clock_read_before_somebody_asks(path, monkeypatch):
    monkeypatch.setattr(Observer, "__init__", lambda _: pytest.fail("an observer was made"))
    assert len(list(scDataset(open_collection(path), Streaming(), 8))) == 12


def test_bytes_are_those_of_the_dataset_alone_and_flight_ends_with_the_epoch(path):
    with open_collection(path) as collection:
        train, other = (scDataset(collection, Streaming(), BATCH, 3) for _ in range(2))
        train.stats()
        for _ in train:
            list(other)
            assert train.stats().bytes_in_flight > 0
        assert train.stats().bytes_in_flight == 0
        first = train.stats().bytes_read
        assert first > 0
        train.set_epoch(0)
        list(train)
        assert train.stats().bytes_read == 2 * first


def test_two_datasets_over_one_collection_are_told_apart(path):
    with open_collection(path) as collection:
        train, other = (scDataset(collection, Streaming(), BATCH, 3) for _ in range(2))
        assert train.stats().batches == other.stats().batches == 0
        list(train)
        assert (train.stats().rows, other.stats().rows) == (N_ROWS, 0)
        assert other.stats().bytes_read == 0


def test_figures_of_a_part_are_those_since_an_earlier_call(clock):
    dataset = made(np.arange(N_ROWS), clock, batch_transform=clock.slow(lambda batch: batch, 1.0))
    list(dataset)
    before = dataset.stats()
    list(dataset)
    list(dataset)
    part = dataset.stats().since(before)
    assert (part.rows, part.batches, part.seconds) == (2 * N_ROWS, 24, 24.0)
    assert part.hooks == {"batch_transform": 24.0}
    assert part.bottleneck == "batch_transform"


@pytest.mark.parametrize("context", [multiprocessing.get_context("fork"), CONTEXT], ids=["forked", "started"])
def test_workers_report_to_the_main_process(path, context):
    dataset = scDataset(open_collection(path), BlockShuffling(4), BATCH, 2, seed=0)
    dataset.stats()
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=context)
    for epoch in (1, 2):
        assert sum(len(batch) for batch in loader) == N_ROWS
        stats = dataset.stats()
        assert (stats.rows, stats.batches) == (epoch * N_ROWS, epoch * N_ROWS // BATCH)
        assert stats.processes == 2 * epoch
        assert stats.bytes_read > 0


def test_files_of_workers_go_with_the_dataset(path):
    dataset = scDataset(np.arange(50), Streaming(), 8)
    dataset.stats()
    list(DataLoader(dataset, batch_size=None, num_workers=1))
    folder = dataset._monitor._folder
    assert len(list(folder.iterdir())) == 1
    del dataset
    gc.collect()
    assert not Path(folder).exists()


def test_a_copy_begins_anew():
    dataset = scDataset(np.arange(50), Streaming(), 8)
    dataset.stats()
    list(dataset)
    for copied in (copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert copied.stats().rows == 0
        list(copied)
        assert copied.stats().rows == 50
    assert dataset.stats().rows == 50


def test_it_is_printed_with_units_and_shown_as_a_table(path, clock):
    def normalise(batch):
        clock.now += 1.0
        return batch

    assert "iterate" in str(made(np.arange(8), clock).stats())
    stats = stats_of(path, clock, model=0.25, batch_transform=normalise)
    text = str(stats)
    assert text.splitlines()[0] == "96 rows in 12 batches, 15.00 s: 6 rows a second"
    assert "your batch_transform     12.00 s  80%, test_it_is_printed" in text
    assert "reading windows           0.00 s  over all threads 0.00 s of reads" in text
    assert text.endswith(stats.verdict)
    assert "&lt;locals&gt;.normalise" in stats._repr_html_()


def test_numbers_come_as_a_flat_dict(path, clock):
    stats = stats_of(path, clock, model=0.25, batch_transform=lambda batch: batch)
    numbers = stats.as_dict()
    assert numbers["waiting_for_model"] == 3.0
    assert numbers["hook_batch_transform"] == 0.0
    assert all(isinstance(value, (int, float)) for value in numbers.values())


def test_an_iteration_that_fails_or_is_ended_early_keeps_its_counts():
    dataset = scDataset(np.arange(50), Streaming(), 8)
    dataset.stats()
    batches = iter(dataset)
    next(batches)
    batches.close()
    assert list(batches) == []
    assert dataset.stats().batches == 1


def test_seconds_of_workers_that_iterate_together_count_once_by_the_clock():
    one = Totals({"batches": 4, "batch_rows": 40}, {"model": 2.0}, {"loop": 2.0}, {}, 2.0, 1)
    two = Totals().plus(one).plus(one)
    assert LoaderStats.from_totals(two, scDataset(np.arange(9), Streaming(), 2)._hooks).rows_per_second == 20


def test_figures_are_saved_and_copied():
    dataset = scDataset(np.arange(40), BlockShuffling(4), batch_size=8, batch_transform=np.sqrt, seed=0)
    dataset.stats()
    list(dataset)
    stats = dataset.stats()
    assert pickle.loads(pickle.dumps(stats)) == stats
    assert dataclasses.asdict(stats)["hooks"] == stats.hooks


def test_a_shallow_copy_counts_for_itself():
    dataset = scDataset(np.arange(40), BlockShuffling(4), batch_size=8, seed=0)
    dataset.stats()
    list(dataset)
    other = copy.copy(dataset)
    assert other.stats().batches == 0
    list(other)
    assert dataset.stats().batches == 5

"""A loop under watch: its batches pass through, and rate and verdict are shown."""

import itertools
import logging
import re

import numpy as np
import pytest
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, Streaming, scDataset, watch
from scdataset.errors import ArgumentTypeError, ArgumentValueError


@pytest.fixture
def dataset():
    return scDataset(np.arange(50), BlockShuffling(4), 8, seed=0)


def test_batches_and_length_pass_through(dataset):
    expected = [batch.tolist() for batch in dataset]
    dataset.set_epoch(0)
    watched = watch(dataset)
    assert len(watched) == len(dataset) == 7
    assert [batch.tolist() for batch in watched] == expected


def test_every_epoch_can_be_watched(dataset):
    watched = watch(DataLoader(dataset, batch_size=None))
    first, second = ([batch.tolist() for batch in watched] for _ in range(2))
    assert all(sorted(itertools.chain(*epoch)) == list(range(50)) for epoch in (first, second))
    assert first != second


def test_outside_of_a_terminal_rate_and_verdict_go_to_the_log(dataset, caplog):
    with caplog.at_level(logging.INFO, "scdataset"):
        list(watch(dataset, every=1e-9, description="Epoch 3"))
    assert len(caplog.messages) == 8
    assert all(re.fullmatch(r"Epoch 3: [\d,]+ rows/s(, .+ \d+%)?", message) for message in caplog.messages)


def test_lines_come_no_more_often_than_asked(dataset, caplog):
    with caplog.at_level(logging.INFO, "scdataset"):
        list(watch(dataset, every=3600))
    assert len(caplog.messages) == 1


def test_figures_are_there_after_the_loop(dataset):
    for _ in watch(dataset):
        pass
    assert dataset.stats().rows == 50


def test_a_terminal_shows_a_bar(dataset, monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("scdataset._progress._has_viewer", lambda: True)
    list(watch(dataset, every=1e-9))
    shown = capsys.readouterr().err
    assert "7/7" in shown
    assert "rows/s" in shown


def test_a_resumed_epoch_goes_on_where_it_was(dataset, monkeypatch):
    batches = iter(dataset)
    next(batches), next(batches)
    state = dataset.state_dict()
    batches.close()
    again = scDataset(np.arange(50), BlockShuffling(4), 8, seed=0)
    again.load_state_dict(state)
    begun = []
    bar = __import__("scdataset._progress", fromlist=["live_bar"]).live_bar
    monkeypatch.setattr("scdataset.insight.watch.live_bar", lambda *args: begun.append(args) or bar(*args))
    assert len(list(watch(again))) == 5
    assert begun == [("Training", 7, 2)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_loop_that_is_interrupted_leaves_nothing_behind(dataset, monkeypatch, capsys, error):
    pytest.importorskip("rich")
    monkeypatch.setattr("scdataset._progress._has_viewer", lambda: True)

    def loop():
        for _ in watch(dataset):
            raise error

    for _ in range(2):  # rich shows one bar at a time, and would refuse the second
        with pytest.raises(error):
            loop()
    assert sum(len(batch) for batch in watch(dataset)) == 50


@pytest.mark.parametrize("loader", [[1, 2], DataLoader(np.arange(4)), None], ids=["list", "of others", "none"])
def test_a_loader_of_something_else_is_refused(loader):
    with pytest.raises(ArgumentTypeError, match="over no scDataset; give an scDataset, or DataLoader"):
        watch(loader)


@pytest.mark.parametrize("every", [0, -1.0])
def test_a_time_that_is_none_is_refused(every):
    with pytest.raises(ArgumentValueError, match="every"):
        watch(scDataset(np.arange(4), Streaming(), 2), every=every)

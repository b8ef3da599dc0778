"""Progress of a conversion."""

import logging

from scdataset.conversion import progress


def test_the_rate_is_logged_where_nobody_sees_a_bar(monkeypatch, caplog):
    clock = iter([0.0, 0.5, 2.0, 2.5, 4.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO, "scdataset"), progress.rate_bar("Writing", 40) as advance:
        for _ in range(4):
            advance(10)
    assert caplog.messages == ["Writing: 10 cells/s", "Writing: 10 cells/s"]


def test_nothing_is_shown_of_a_second(monkeypatch, caplog):
    clock = iter([0.0, 0.4, 0.8])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO, "scdataset"), progress.rate_bar("Writing", 20) as advance:
        advance(10)
        advance(10)
    assert not caplog.messages

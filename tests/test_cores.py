"""The number of cores that this process may use."""

import os

import pytest

from scdataset import ArgumentValueError, _cores
from scdataset._cores import limit_cores, usable_cores


@pytest.fixture
def quota(monkeypatch):
    """Return a function that sets the quota of the cgroup."""
    yield lambda cores: monkeypatch.setattr(_cores, "_quota", lambda: cores)
    monkeypatch.undo()


def test_it_is_the_affinity_at_most_and_the_quota_at_most(quota, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    for allowed, expected in ((None, 4), (2, 2), (64, 4)):
        quota(allowed)
        assert usable_cores() == expected


def test_the_environment_may_allow_fewer(quota, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    quota(None)
    monkeypatch.setenv("SCDATASET_CORES", "")
    assert usable_cores() == 4
    for limit, expected in ((3, 3), (1, 1), (9, 4)):
        limit_cores(limit)
        assert usable_cores() == expected


@pytest.mark.parametrize("said", ["0", "-1", "two", "1.5"])
def test_what_is_no_number_of_cores_is_refused(monkeypatch, said):
    monkeypatch.setenv("SCDATASET_CORES", said)
    with pytest.raises(ArgumentValueError, match=f"SCDATASET_CORES='{said}' is no number of cores; set a whole"):
        usable_cores()


def test_a_change_of_affinity_is_followed_and_the_quota_is_read_once(monkeypatch, tmp_path):
    (tmp_path / "cpu.max").write_text("300000 100000")
    reads = []
    monkeypatch.setattr(_cores, "Path", lambda _: reads.append(1) or tmp_path / "cpu.max")
    _cores._quota.cache_clear()
    for affinity, expected in (({0, 1}, 2), ({0, 1, 2, 3}, 3), ({0}, 1)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=affinity: cores, raising=False)
        assert usable_cores() == expected
    assert len(reads) == 1
    _cores._quota.cache_clear()


def test_a_quota_of_less_than_a_core_is_one(monkeypatch, tmp_path):
    (tmp_path / "cpu.max").write_text("20000 100000")
    monkeypatch.setattr(_cores, "Path", lambda _: tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    _cores._quota.cache_clear()
    assert usable_cores() == 1
    _cores._quota.cache_clear()

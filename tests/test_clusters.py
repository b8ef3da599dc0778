"""The argument engine, and results that come in any order."""

import sys

import pytest
from tests.elsewhere import Elsewhere

from scdataset import ArgumentTypeError, ArgumentValueError, MissingDependencyError
from scdataset._clusters import cluster_of, in_order


def test_an_engine_is_this_process_or_a_cluster():
    cluster = Elsewhere()
    assert cluster_of(None) is None
    assert cluster_of(cluster) is cluster


def test_another_engine_is_refused_with_those_there_are():
    with pytest.raises(
        ArgumentValueError, match=r"engine='dask' is not known; give None for this process, \"ray\", or"
    ):
        cluster_of("dask")
    with pytest.raises(ArgumentTypeError, match="engine=4 is of type int"):
        cluster_of(4)


def test_results_come_in_order_each_as_soon_as_it_can():
    results = iter([(1, "b"), (0, "a"), (3, "d"), (2, "c")])
    ordered = in_order(results)
    assert [next(ordered), next(ordered)] == ["a", "b"]
    assert list(results) == [(3, "d"), (2, "c")]
    assert list(ordered) == []


def test_an_engine_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"Actors needs ray.*pip install 'ray\["):
        cluster_of("ray")

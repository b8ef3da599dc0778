"""CPUs that Ray assigned, and paths that a node does not see."""

import os
import socket

import pytest

from scdataset import MissingFileError, UnreachableStoreError, UnreadableFileError
from scdataset._cores import usable_cores
from scdataset.integrations.ray.nodes import check_visible, naming_node, use_assigned_cpus


def test_outside_of_a_cluster_nothing_is_limited(cores, monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    assert use_assigned_cpus() is None
    assert cores() == ""


@pytest.mark.parametrize(("assigned", "expected"), [(3.0, 3), (0.5, 1), (1.5, 1), (0.0, None)])
def test_threads_are_the_cpus_that_ray_assigned(cores, monkeypatch, assigned, expected):
    import ray

    class Context:
        get_assigned_resources = staticmethod(lambda: {"CPU": assigned} if assigned else {"GPU": 1.0})

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_runtime_context", Context)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert use_assigned_cpus() == expected
    assert cores() == ("" if expected is None else str(expected))


def _threads():
    os.environ.pop("SCDATASET_CORES", None)
    return use_assigned_cpus(), usable_cores()


@pytest.mark.slow
def test_a_task_of_a_cluster_has_as_many_threads_as_cpus_and_what_started_it_all(cluster):
    ask = cluster.remote(_threads)
    assert cluster.get(ask.options(num_cpus=1).remote()) == (1, 1)
    assert use_assigned_cpus() is None


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (FileNotFoundError("no such file: 'a.h5ad'"), MissingFileError),
        (PermissionError("may not read 'a.h5ad'"), UnreadableFileError),
        (UnreachableStoreError("s3://bucket/a.h5ad does not answer"), UnreachableStoreError),
    ],
)
def test_errors_of_paths_name_the_node_and_the_path(raised, kind):
    with pytest.raises(kind, match=rf"On node {socket.gethostname()}.*a\.h5ad.* Every node needs"), naming_node():
        raise raised


def test_other_errors_stay_as_they_are():
    for error in (OSError("disk"), ValueError("x")):
        with pytest.raises(type(error), match=r"^(disk|x)$"), naming_node():
            raise error


def test_one_file_of_each_folder_has_to_be_there(tmp_path):
    (tmp_path / "here").mkdir()
    for name in ("a", "b"):
        (tmp_path / "here" / name).touch()
    here = [str(tmp_path / "here" / name) for name in ("a", "b")]
    check_visible([*here, "s3://bucket/c"])
    with pytest.raises(MissingFileError, match=r"On node .*/there/c' does not exist: there is no 'there' in"):
        check_visible([*here, str(tmp_path / "there" / "c")])

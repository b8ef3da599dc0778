"""The node of a cluster that this process runs on: the CPUs that Ray assigned, and paths that lead nowhere there."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from scdataset._cores import limit_cores
from scdataset._paths import is_there, refuse_missing
from scdataset.engine.bytes.object_store import is_url
from scdataset.errors import MissingFileError, ScDatasetError, UnreachableStoreError, UnreadableFileError
from scdataset.integrations.ray.versions import ray_library

__all__ = ["check_visible", "naming_node", "use_assigned_cpus"]

_KINDS: tuple[tuple[type[OSError], type[ScDatasetError]], ...] = (
    (FileNotFoundError, MissingFileError),
    (PermissionError, UnreadableFileError),
    (ConnectionError, UnreachableStoreError),
)
"""Errors that another node may not have, and the type that each is raised as."""

_REMEDY = (
    "Every node needs the data under the same path: on a file system that all nodes mount, in an object store that all "
    "can reach, or as a copy on the disk of each."
)


def use_assigned_cpus() -> int | None:
    """Let this process read and decode with as many threads as Ray assigned CPUs to it, and return their number.

    Ray counts CPUs and sets no affinity, so that every worker of a node would take all of its cores. A part of a CPU
    counts as one. Where Ray assigned none, as outside of a cluster, nothing is changed and None is returned.
    """
    cpus = _assigned_cpus()
    if not cpus:
        return None
    cores = max(int(cpus), 1)
    limit_cores(cores)
    return cores


def _assigned_cpus() -> float:
    ray = ray_library("ray", "scdataset.integrations.ray")
    if not ray.is_initialized():
        return 0
    try:
        return float(ray.get_runtime_context().get_assigned_resources().get("CPU", 0))
    except AssertionError:  # Ray assigns nothing to the process that connected to it
        return 0


@contextmanager
def naming_node() -> Iterator[None]:
    """Raise an error about a path inside anew, with the node on which it leads nowhere or cannot be read."""
    try:
        yield
    except OSError as error:
        kind = next((ours for theirs, ours in _KINDS if isinstance(error, theirs)), None)
        if kind is None:
            raise
        message = f"On node {_node()}: {error} {_REMEDY}"
        raise kind(message) from error


def check_visible(files: Sequence[str]) -> None:
    """Raise if this node does not see the first file of each folder.

    Raises
    ------
    MissingFileError, UnreadableFileError
        With the node and the path.
    """
    first = {os.path.dirname(file): file for file in reversed(files) if not is_url(file)}  # noqa: PTH120 a zarr store in a zip has such a path too
    with naming_node():
        for file in first.values():
            if not is_there("file", file):
                refuse_missing("file", file)


def _node() -> str:
    """Return the name of this host, and Ray's number of it."""
    ray = ray_library("ray", "scdataset.integrations.ray")
    number = f", node {ray.get_runtime_context().get_node_id()} of Ray" if ray.is_initialized() else ""
    return f"{socket.gethostname()}{number}"

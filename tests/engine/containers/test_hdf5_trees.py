"""Nodes of the index of chunks lead to those below them, and damaged ones to nothing that is believed."""

import time

import h5py
import numpy as np
import pytest

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import hdf5_trees
from scdataset.engine.containers.hdf5_trees import MARK, children_of, fetch_below, start_fetching

SIZES = {1: 2096, 2: 2616}
"""Bytes of a node by the axes of the dataset."""


@pytest.fixture(params=SIZES)
def stored(request, tmp_path):
    """Return the bytes of a file with an index of two levels, and those of a node in it."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        shape = (500,) + (3,) * (request.param - 1)
        file.create_dataset("x", data=np.zeros(shape), chunks=(2, *shape[1:]))
    return (tmp_path / "a.h5").read_bytes(), SIZES[request.param]


def nodes_of(content, size):
    places = [place for place in range(len(content)) if content.startswith(MARK, place)]
    return {place: content[place : place + size] for place in places}


def test_children_are_the_nodes_of_the_level_below(stored):
    nodes = nodes_of(*stored)
    levels = {level: {place for place, node in nodes.items() if node[5] == level} for level in (0, 1)}
    [root] = levels[1]
    assert set(children_of(nodes[root], 0)) == levels[0]
    assert all(children_of(nodes[place], 0) == [] for place in levels[0])
    assert children_of(nodes[root], 512) == [place + 512 for place in children_of(nodes[root], 0)]


def test_what_is_no_node_has_no_children(stored):
    nodes = nodes_of(*stored)
    [root] = [node for node in nodes.values() if node[5] == 1]
    for other in (b"", root[:10], root[:-1], b"SNOD" + root[4:], root[:6] + b"\xff\xff" + root[8:]):
        assert children_of(other, 0) == []


class Announced:
    """A file that notes what is announced."""

    def __init__(self, path):
        self._file = LocalFile(path)
        self.size = self._file.size
        self.places = []

    def announce(self, offsets, sizes):
        self.places.append(sorted(offsets.tolist()))

    def read_many(self, offsets, sizes):
        return self._file.read_many(offsets, sizes)


def test_nodes_below_one_are_asked_for_together(stored, tmp_path):
    nodes = nodes_of(*stored)
    [root] = [node for node in nodes.values() if node[5] == 1]
    file = Announced(str(tmp_path / "a.h5"))
    start_fetching()
    fetch_below(file, root, 0)
    while not (file.places and hdf5_trees._AHEAD.nodes.empty()):
        time.sleep(0.001)
    assert file.places == [sorted(children_of(root, 0))]

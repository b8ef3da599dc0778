"""B-trees of HDF5 that index the chunks of a dataset, fetched a level at once where each node takes a request.

The library reads node after node. As one with children passes, these are asked for together, and then theirs, so that
a tree of n levels takes n rounds. See "Version 1 B-trees" in
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html. Nodes are hints: a damaged one asks in vain.
"""

import os
import struct
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from scdataset.engine.bytes.source import ByteSource
from scdataset.errors import ScDatasetError

__all__ = ["MARK", "children_of", "fetch_below", "start_fetching"]

MARK = b"TREE\x01"
"""How a node of an index of chunks begins."""

_HEADER = struct.Struct("<4sBBH16x")
"""Signature, type, level and number of children, and the siblings."""

_ADDRESS = 8

_MOST = 64
"""Children that a node may have in files of default settings; nodes of others are read one by one."""

_LEVELS = 8
"""Levels that are followed at most."""


class _Node(NamedTuple):
    """A node that passed: where it is from, its bytes, and the byte that addresses count from."""

    file: ByteSource
    stored: bytes
    begin: int


def children_of(node: bytes, begin: int) -> list[int]:
    """Return where the children of a node are that are nodes themselves.

    Parameters
    ----------
    node
        Its bytes.
    begin
        The byte of the file that addresses count from.
    """
    if len(node) < _HEADER.size or node[: len(MARK)] != MARK:
        return []
    _, _, level, n_children = _HEADER.unpack_from(node)
    key, rest = divmod(len(node) - _HEADER.size - _MOST * _ADDRESS, _MOST + 1)
    if level == 0 or rest or key < _ADDRESS or n_children > _MOST:
        return []
    places = range(_HEADER.size + key, _HEADER.size + key + n_children * (key + _ADDRESS), key + _ADDRESS)
    return [begin + int.from_bytes(node[place : place + _ADDRESS], "little") for place in places]


class _Ahead:
    """The thread of this process that asks for nodes: a library that reads holds locks, and cannot wait for others."""

    def __init__(self) -> None:
        self.nodes: SimpleQueue[_Node] = SimpleQueue()
        self.pid = -1

    def start(self) -> None:
        if self.pid != os.getpid():
            self.nodes, self.pid = SimpleQueue(), os.getpid()
            threading.Thread(target=_follow, args=(self.nodes,), name="scdataset-trees", daemon=True).start()


_AHEAD = _Ahead()


def start_fetching() -> None:
    """Start the thread, which `fetch_below` needs."""
    _AHEAD.start()


def fetch_below(file: ByteSource, node: bytes, begin: int) -> None:
    """Ask for the nodes below one, without waiting."""
    if children_of(node, begin):
        _AHEAD.nodes.put(_Node(file, node, begin))


def _follow(nodes: "SimpleQueue[_Node]") -> None:
    while True:
        file, stored, begin = nodes.get()
        level, size = [stored], len(stored)
        with suppress(ScDatasetError, OSError):  # whoever reads the node is told
            for _ in range(_LEVELS):
                places = [place for node in level for place in children_of(node, begin)]
                inside = [place for place in places if 0 <= place < file.size]
                if not inside:
                    break
                file.announce(np.array(inside), np.full(len(inside), size))
                level = [bytes(node) for node in file.read_many(inside, [size] * len(inside))]
        del file, stored, level

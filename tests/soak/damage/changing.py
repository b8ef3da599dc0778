"""Files and stores that change between two windows of an epoch: right rows, or an error, and nothing else."""

import os
import shutil
import time
import warnings

import numpy as np
from tests.soak.damage.anndata_files import N_OBS
from tests.soak.damage.children import in_child
from tests.soak.damage.harms import copy_of, files_in, harm_entry, harmed
from tests.soak.damage.sources import ROWS, SOURCES, labelled, word_of

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.errors import ScDatasetError

_TICK = 0.01
"""Seconds between opening and a change: the system's clock of files is that coarse."""


def _overwrite(path, other, rng):
    """Write to a file in place, and set its time back."""
    status, data = path.stat(), harmed(path.read_bytes(), "bytes", int(rng.integers(2**40)))
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    if rng.random() < 0.5:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _rewrite(path, other, rng):
    """Write other values to a file in place."""
    data = other.read_bytes()
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


def _truncate(path, other, rng):
    os.truncate(path, int(rng.integers(path.stat().st_size + 1)))


def _delete(path, other, rng):
    path.unlink()


def _replace(path, other, rng):
    """Move another file to the place of one."""
    new = path.with_name("new")
    shutil.copyfile(other, new)
    new.replace(path)


def _put_other(path, other, rng):
    harm_entry(path, path, str(rng.choice(["emptied", "folder", "pipe", "loop", "device"])))


_CHANGES = {
    "overwritten": _overwrite,
    "rewritten": _rewrite,
    "truncated": _truncate,
    "deleted": _delete,
    "replaced": _replace,
    "made another thing": _put_other,
}


class Changing:
    """One source that changes while an epoch goes through it."""

    name = "changing"
    right_only = True
    files = tuple(SOURCES)
    harms = (*_CHANGES, "replaced whole", "deleted whole")

    def __init__(self, files):
        self._files = files

    def prepare(self, name):
        """Write a source twice, with two contents, and read it."""
        self._files.right(name)
        self._files.path(name, 1)

    def run(self, case):
        """Try one case; return what came of it."""
        source = SOURCES[case.file]
        place = self._files.workplace()
        path = copy_of(self._files.path(case.file), place / f"case{source.ending}")
        other = copy_of(self._files.path(case.file, 1), place / f"other{source.ending}")
        return in_child(_epoch, path, other, self._files.right(case.file), source.options, case)


def _epoch(path, other, right, options, case):
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(case.seed)
    when = int(rng.integers(10))
    whole = {name: values[np.argsort(ROWS)] for name, values in right.items()}
    strategy, sizes = BlockShuffling(int(rng.integers(1, 7))), (5, int(rng.integers(1, 4)))
    order = list(scDataset(np.arange(N_OBS), strategy, *sizes, seed=case.seed))
    try:
        collection = open_collection(path, num_threads=2, **options)
        batches = iter(scDataset(collection, strategy, *sizes, seed=case.seed))
        for number, rows in enumerate(order):
            if number == when:
                time.sleep(_TICK)
                _change(path, other, case.harm, rng)
            batch = next(batches)
            wrong = [name for name in whole if not _same_rows(name, batch, whole[name][rows], collection)]
            if wrong:
                return f"other values: of {wrong} in batch {number}, changed before batch {when}"
    except ScDatasetError as error:
        return word_of(error, path)
    return "right values"


def _same_rows(name, batch, right, collection):
    """Compare a part of a batch."""
    found = batch[name].toarray() if hasattr(batch[name], "toarray") else labelled(name, batch[name], collection)
    return found.tobytes() == np.ascontiguousarray(right).tobytes()


def _change(path, other, harm, rng):
    if harm.endswith("whole"):
        path.rename(path.with_name(f"{path.name}.gone"))
        if harm == "replaced whole":
            other.rename(path)
        return
    files = files_in(path)
    victim = files[int(rng.integers(len(files)))]
    twin = other if path.is_file() else other / victim.relative_to(path)
    _CHANGES[harm](victim, twin if twin.is_file() else victim, rng)

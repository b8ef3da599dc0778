"""Damaged copies and tables in the cache, and sources that were made anew: the right rows all the same."""

import os
import shutil

from tests.soak.damage.anndata_files import N_OBS
from tests.soak.damage.children import in_child
from tests.soak.damage.harms import BYTES, ENTRIES, copy_of, harm_one
from tests.soak.damage.sources import COPIED, OF_ANNDATA, ROWS, SOURCES, outcome, read_all, same

from scdataset import open_collection
from scdataset.engine.containers import hdf5

TABLES, LIST = "tables of gzip", "list of h5ad files"
SOURCE = "source made anew"


class Cached:
    """One source whose entries in the cache are harmed, or which is another file by then."""

    name = "cached"
    right_only = True
    files = (*COPIED, TABLES, LIST)
    harms = (*BYTES, *ENTRIES, SOURCE)

    def __init__(self, files):
        self._files = files
        self._caches = {}

    def prepare(self, name):
        """Write a source, and a cache that holds what opening it leaves there."""
        cache = self._files.folder / f"cache of {name}"
        if name == LIST:
            self._files.right("plain"), self._files.right("gzip")
            paths = [self._files.path(one) for one in ("plain", "gzip")]
        else:
            source = _source_of(name)
            self._files.right(source, 0), self._files.right(source, 1)
            paths = [self._files.path(source)]
        for path in paths:
            for file in [path, *path.rglob("*")]:
                os.utime(file, (1, 1))  # tables of a file that changed just now are not kept
        word = in_child(self._read, name, paths, cache)
        assert word == "right values", (name, word)
        assert any(file.is_file() for file in cache.rglob("*")), name
        self._caches[name] = paths, cache

    def run(self, case):
        """Try one case; return what came of it."""
        place = self._files.workplace()
        paths, made = self._caches[case.file]
        cache = shutil.copytree(made, place / "cache")
        if case.harm != SOURCE:
            harm_one(cache, case.harm, case.seed)
            return in_child(self._read, case.file, paths, cache)
        if case.file == LIST:
            return in_child(self._read_list_made_anew, place, cache)
        source = _source_of(case.file)
        path = copy_of(paths[0], place / f"case{SOURCES[source].ending}")
        word = in_child(self._read, case.file, [path], cache)
        assert word == "right values", word
        self._make_anew(path, self._files.path(source, 1))
        return in_child(self._read, case.file, [path], cache, 1)

    def _make_anew(self, path, other):
        """Write another content to the same files, and set their times back."""
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file():
                status, twin = file.stat(), other if file == path else other / file.relative_to(path)
                file.write_bytes(twin.read_bytes())
                os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _read(self, name, paths, cache, seed=0):
        """Read sources, with a cache."""
        os.environ["SCDATASET_CACHE_DIR"] = str(cache)
        hdf5._MANY_CHUNKS = hdf5._MANY_ROWS = 1
        if name == LIST:
            return _read_list(paths, [self._files.right(one) for one in ("plain", "gzip")])
        source = _source_of(name)
        return outcome(paths[0], self._files.right(source, seed), SOURCES[source].options)

    def _read_list_made_anew(self, place, cache):
        os.environ["SCDATASET_CACHE_DIR"] = str(cache)
        paths = [copy_of(self._files.path(one), place / f"{one}.h5ad") for one in ("plain", "gzip")]
        right = [self._files.right(one) for one in ("plain", "gzip")]
        for path in paths:
            os.utime(path, (1, 1))
        word = _read_list(paths, right)
        assert word == "right values", word
        self._make_anew(paths[1], self._files.path("gzip", 1))
        return _read_list(paths, [right[0], self._files.right("gzip", 1)])


def _source_of(name):
    return "gzip" if name == TABLES else name


def _read_list(paths, right):
    """Open files as one collection, which keeps what it learned of them, and compare each."""
    opened = open_collection([str(path) for path in paths], num_threads=2, **OF_ANNDATA)
    for number, wanted in enumerate(right):
        batch = opened.read(ROWS + number * N_OBS)
        found = read_all(paths[number], OF_ANNDATA)  # with labels, of which a list has codes
        parts = {"X": batch["X"].toarray(), "depth": batch["depth"], "X_pca": batch["X_pca"]}
        if not same(found, wanted) or not same(parts, {name: wanted[name] for name in parts}):
            return "other values"
    return "right values"

"""Files and stores with damaged bytes, and folders with other things in the place of their files."""

import contextlib

import h5py
import zarr
from tests.soak.damage.children import in_child
from tests.soak.damage.harms import BYTES, ENTRIES, copy_of, harm_one
from tests.soak.damage.sources import ROWS, SOURCES, outcome

LIBRARIES = ("h5ad", "h5mu", "10x", "loom", "zarr", "MuData", "cellstream")
"""Groups of formats that h5py, zarr or cellstream reads alone."""

_AS_OFTEN = 2
"""How many times as often bytes are harmed as entries are."""


class Damaged:
    """One source with harm done to it, opened and read whole."""

    name = "damaged"
    right_only = False
    files = tuple(SOURCES)
    harms = (*BYTES * _AS_OFTEN, *ENTRIES)

    def __init__(self, files):
        self._files = files

    def prepare(self, name):
        """Write a source, and read it, so that all is compiled before the forks."""
        self._files.right(name)

    def run(self, case):
        """Try one case; return what came of it."""
        source, good = SOURCES[case.file], self._files.path(case.file)
        path = copy_of(good, self._files.workplace() / f"case{source.ending}")
        harm_one(path, case.harm, case.seed)
        word = in_child(outcome, str(path), self._files.right(case.file), source.options)
        known = case.harm in BYTES and source.group.startswith(LIBRARIES)
        if known and word.startswith(("hung", "died")) and in_child(everything, str(path)) != "read":
            return f"the library itself {word}"
        if word == "other values" and source.covered:
            return "raised other values where checksums cover all"
        return word


def everything(path):
    """Read all that h5py, zarr or cellstream finds in a file, whatever it raises."""

    def read(_, item):
        with contextlib.suppress(Exception):
            _ = dict(item.attrs)
        with contextlib.suppress(Exception):
            _ = item[()]

    if ".zarr" in path:
        with contextlib.suppress(Exception):
            store = zarr.storage.ZipStore(path, mode="r") if path.endswith(".zip") else path
            for name, item in zarr.open_group(store, mode="r", use_consolidated=False).members(max_depth=None):
                read(name, item)
    elif path.endswith(".shad"):
        import cellstream

        with contextlib.suppress(Exception):
            store = cellstream.open(path)
            _ = store.obs, store.obsm
            store.gather_rows(ROWS, n_threads=1)
    else:
        with contextlib.suppress(Exception), h5py.File(path) as file:
            read("", file)
            file.visititems(read)
    return "read"

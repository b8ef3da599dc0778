"""Damage small files of cells in many ways and read them: an error of ours, or what can be read, and nothing else.

Usage: python tests/soak/damage.py [count] [seed]

Every case is one file with some bytes flipped, overwritten or cut off, opened and read whole in a forked child: an h5ad
file, one of the files of a zarr store, a zarr store in a zip file, or a table that the cache keeps of a whole h5ad
file, of which nothing may come but the right values. A child may end with

- the right values;
- values that are wrong only where no checksum protects them, of the right shape, with column numbers inside the matrix;
- an error of this package.

A child that dies, hangs or raises anything else is a failure, printed with what brings it back; unless h5py or zarr
alone, asked for all that is in the file, dies or hangs as well, which is theirs and is counted apart.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from scdataset import open_collection
from scdataset.engine.storage import hdf5
from scdataset.errors import ScDatasetError

SECONDS = 10
N_OBS, N_VARS = 60, 40
OBS = ("type", "depth")
FILES = {
    "plain": {},
    "gzip": {"compression": "gzip"},
    "lzf": {"compression": "lzf"},
    "checked": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf checked": {"compression": "lzf", "fletcher32": True},
    "dense": {"dense": True},
    "dense gzip": {"dense": True, "compression": "gzip"},
}
STORES = {
    "zarr v2": {"zarr_format": 2},
    "zarr v2 dense": {"zarr_format": 2, "dense": True},
    "zarr v3": {"compressors": [ZstdCodec()]},
    "zarr v3 gzip": {"compressors": [GzipCodec()]},
    "zarr v3 plain": {"compressors": None},
    "zarr v3 sharded": {"shards": 300, "compressors": [BloscCodec()]},
    "zarr v3 sharded plain": {"shards": 300, "compressors": None},
}
ZIPPED = ("zarr v2", "zarr v3", "zarr v3 sharded plain")
CACHED = "table of gzip"
HARMS = ("cut", "bit", "bits", "bytes", "zeros", "ones", "copied", "appended")


@dataclass(frozen=True)
class Case:
    """A file and what is done to it."""

    file: str
    harm: str
    seed: int


def small_cells(*, dense):
    """Return AnnData of few cells, with labels and numbers in obs and an array in obsm."""
    rng = np.random.default_rng(0)
    counts = scipy.sparse.random_array((N_OBS, N_VARS), density=0.3, format="csr", rng=rng, dtype=np.float32)
    obs = pd.DataFrame(
        {"type": pd.Categorical(rng.choice(["a", "b", "c"], N_OBS)), "depth": rng.random(N_OBS)},
        index=[f"cell{i}" for i in range(N_OBS)],
    )
    return anndata.AnnData(counts.toarray() if dense else counts, obs=obs, obsm={"X_pca": rng.normal(size=(N_OBS, 2))})


def write_files(folder):
    """Write all files; return their paths by name."""
    paths = {}
    for name, options in FILES.items():
        kwargs = dict(options)
        adata = small_cells(dense=kwargs.pop("dense", False))
        paths[name] = folder / f"{name}.h5ad"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adata.write_h5ad(paths[name])
        if kwargs:
            _store_again(paths[name], kwargs)
    return paths


def _store_again(path, options):
    """Store the matrix in several chunks, with filters."""
    with h5py.File(path, "a") as h5:
        names = ["X"] if isinstance(h5["X"], h5py.Dataset) else ["X/data", "X/indices"]
        for name in names:
            values, attributes = h5[name][:], dict(h5[name].attrs)
            del h5[name]
            chunks = (7, 11) if values.ndim == 2 else (100,)
            h5.create_dataset(name, data=values, chunks=chunks, **options).attrs.update(attributes)


def write_stores(folder):
    """Write all zarr stores, some also as zip files; return their paths by name."""
    paths = {}
    for name, options in STORES.items():
        kwargs = dict(options)
        adata = small_cells(dense=kwargs.pop("dense", False))
        paths[name] = folder / f"{name}.zarr"
        with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=kwargs.pop("zarr_format", 3)):
            warnings.simplefilter("ignore")
            adata.write_zarr(paths[name], chunks=None if scipy.sparse.issparse(adata.X) else (7, 11))
        if scipy.sparse.issparse(adata.X):
            _store_in_chunks(paths[name], kwargs)
        if name in ZIPPED:
            paths[f"{name} zip"] = folder / f"{name}.zarr.zip"
            _zip(paths[name], paths[f"{name} zip"])
    return paths


def _store_in_chunks(path, options):
    """Store the values and columns of a sparse matrix in several chunks, or in shards of several chunks."""
    group = zarr.open_group(str(path), mode="a", use_consolidated=False)["X"]
    for name in ("data", "indices"):
        values = group[name][:]
        shards = (options["shards"],) if "shards" in options else None
        more = {"compressors": options["compressors"]} if "compressors" in options else {}
        group.create_array(name, data=values, chunks=(100,), shards=shards, overwrite=True, **more)


def _zip(store, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(store.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(store))


def harmed(good, case):
    """Return the bytes of a file with harm done to them."""
    rng = np.random.default_rng(case.seed)
    if not good:
        return rng.bytes(9)
    data = bytearray(good)
    place = int(rng.integers(len(data)))
    length = int(rng.integers(1, 64))
    if case.harm == "cut":
        del data[place:]
    elif case.harm in {"bit", "bits"}:
        for at in [place] if case.harm == "bit" else rng.integers(len(data), size=20).tolist():
            data[at] ^= 1 << int(rng.integers(8))
    elif case.harm == "copied":  # a stretch of the file in another place, as a bad copy leaves it
        source = int(rng.integers(len(data)))
        data[place : place + length] = data[source : source + length]
    elif case.harm == "appended":
        data += rng.bytes(length)
    else:
        stretch = {"bytes": rng.bytes(length), "zeros": bytes(length), "ones": b"\xff" * length}[case.harm]
        data[place : place + length] = stretch
    return bytes(data)


def outcome(path, right):
    """Open and read a file; return in a word what came of it. Raises for what must not be."""
    warnings.simplefilter("ignore")
    rows = np.random.default_rng(0).permutation(N_OBS)
    try:
        collection = open_collection(path, obs=OBS, obsm=["X_pca"], num_threads=2)
        batch = collection.read(rows)
        _ = collection.obs, collection.var
    except ScDatasetError as error:
        return type(error).__name__ if str(path) in str(error) else f"raised {error!r}, which names no file"
    X = batch["X"]  # noqa: N806 the field's name
    assert X.shape == (N_OBS, N_VARS), X.shape
    if scipy.sparse.issparse(X):
        assert X.indices.size == 0 or (X.indices.min() >= 0 and X.indices.max() < N_VARS)
        assert (np.diff(X.indptr) >= 0).all()
        assert X.indptr[-1] == X.data.size == X.indices.size
    codes = batch["type"]
    assert codes.shape == (N_OBS,)
    assert codes.min() >= -1
    assert codes.max() < len(collection.categories.get("type", [0] * 1000))
    dense = X.toarray() if scipy.sparse.issparse(X) else X
    return "right values" if dense.tobytes() == right[rows].tobytes() else "other values"


def everything(path):
    """Read all that h5py or zarr finds in a file, whatever it raises."""

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
    else:
        with contextlib.suppress(Exception), h5py.File(path) as file:
            read("", file)
            file.visititems(read)
    return "read"


def in_child(work, *arguments):
    """Return what ``work`` returns in a forked child, or that it raised, hung or died."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        try:
            word = work(*arguments)
        except BaseException as error:  # noqa: BLE001 it is reported
            word = f"raised {type(error).__name__}: {error}"
        os.write(writable, word.encode()[:4000])
        os._exit(0)
    os.close(writable)
    word = ""
    if select.select([readable], [], [], SECONDS)[0]:
        word = os.read(readable, 4096).decode(errors="replace")
    else:
        os.kill(child, signal.SIGKILL)
        word = "hung"
    os.close(readable)
    status = os.waitpid(child, 0)[1]
    return word or f"died with status {status}"


class Sources:
    """Files and stores as they should be, and a copy of one of them with harm done to it."""

    def __init__(self, folder):
        self.paths = {**write_files(folder), **write_stores(folder)}
        self.folder = folder
        self.right = {}
        for name, path in self.paths.items():
            X = open_collection(path, num_threads=2).read(np.arange(N_OBS))["X"]  # noqa: N806 the field's name
            self.right[name] = X.toarray() if scipy.sparse.issparse(X) else X.copy()
            word = outcome(str(path), self.right[name])  # and all is compiled before the forks
            assert word == "right values", (name, word)
        self.names = [*self.paths, CACHED]
        self.cache = folder / "cache"
        self.tables = self._keep_tables()

    def _keep_tables(self):
        """Open a file, in a child, so that the cache keeps its tables; return them."""
        os.utime(self.paths["gzip"], (1, 1))  # what changed just now is not kept
        assert in_child(_with_tables, str(self.paths["gzip"]), self.right["gzip"], self.cache) == "right values"
        tables = sorted((self.cache / "tables").iterdir())
        assert len(tables) == 3
        return {table: table.read_bytes() for table in tables}

    def run(self, case):
        """Try one case; return what came of it."""
        if case.file == CACHED:
            table = sorted(self.tables)[case.seed % 3]
            table.write_bytes(harmed(self.tables[table], case))
            return in_child(_with_tables, str(self.paths["gzip"]), self.right["gzip"], self.cache)
        path = self._harmed_copy(case)
        word = in_child(outcome, str(path), self.right[case.file])
        if word.startswith(("hung", "died")) and in_child(everything, str(path)) != "read":
            return f"the library itself {word}"
        return word

    def _harmed_copy(self, case):
        source = self.paths[case.file]
        copy = self.folder / f"case{os.getpid()}{''.join(source.suffixes)}"
        if source.is_file():
            copy.write_bytes(harmed(source.read_bytes(), case))
            return copy
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
        files = sorted(file for file in copy.rglob("*") if file.is_file())
        victim = files[case.seed % len(files)]
        victim.write_bytes(harmed(victim.read_bytes(), case))
        return copy


def _with_tables(path, right, cache):
    """Read a whole file, in a child, of which the cache has harmed tables: only the right values may come of it."""
    os.environ["SCDATASET_CACHE_DIR"] = str(cache)
    hdf5._MANY_CHUNKS = hdf5._MANY_ROWS = 1
    word = outcome(path, right)
    return word if word == "right values" else f"raised by a table of the cache: {word}"


def run_all(count, seed, folder):
    """Try so many cases, or fewer if interrupted; return outcomes by count, and cases that failed and how."""
    sources = Sources(folder)
    rng = np.random.default_rng(seed)
    outcomes, failures = Counter(), []
    with contextlib.suppress(KeyboardInterrupt):
        for _ in range(count):
            case = Case(str(rng.choice(sources.names)), str(rng.choice(HARMS)), int(rng.integers(2**40)))
            word = sources.run(case)
            outcomes[word.split(":")[0]] += 1
            if word.startswith(("raised", "hung", "died")):
                failures.append((case, word))
    return outcomes, failures


def main():
    """Run from the command line."""
    given = [int(word) for word in sys.argv[1:]]
    count, seed = given + [1000, 0][len(given) :]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcomes, failures = run_all(count, seed, Path(folder))
    for word, n in outcomes.most_common():
        sys.stdout.write(f"{n:6} {word}\n")
    for case, word in failures:
        sys.stdout.write(f"FAILED {case}: {word}\n")
    sys.stdout.write(f"{outcomes.total()} cases in {time.monotonic() - begin:.0f} s, {len(failures)} failures\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

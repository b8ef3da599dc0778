"""Damage small files of cells in many ways and read them: an error of ours, or what can be read, and nothing else.

Usage: python tests/soak/damage.py [count] [seed] [files] [harms]

Files and harms are parts of their names, with commas between them; all by default.

Every case is one file with some bytes flipped, overwritten, cut off or doubled, opened and read whole in a forked
child: an h5ad, h5mu, 10x or loom file, one of the files of a zarr store, a zarr store in a zip file, or a table that
the cache keeps of a whole h5ad file, of which nothing may come but the right values. A child may end with

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
import mudata
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
HARMS = ("cut", "bit", "bits", "bytes", "zeros", "ones", "copied", "doubled", "appended")
MODALITIES = ("rna", "protein")
OPTIONS = {
    "h5mu": {},
    "h5mu rna": {"modality": "rna", "obs": OBS, "obsm": ["X_pca"]},
    "mudata.zarr": {},
    "10x 3": {"obs": ["barcode"]},
    "10x 2": {"obs": ["barcode"]},
    "loom": {"obs": ["depth"]},
}
"""How files are opened that are not opened with `OF_ANNDATA`."""
OF_ANNDATA = {"obs": OBS, "obsm": ["X_pca"]}


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


def write_files(folder, parts=""):
    """Write h5ad files; return their paths by name."""
    paths = {}
    for name in chosen(FILES, parts):
        kwargs = dict(FILES[name])
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


def write_others(folder, parts=""):
    """Write files of other formats; return their paths by name."""
    adata = small_cells(dense=False)
    writers = {
        "10x 3": lambda path: _write_10x(path, adata, "matrix", ("features/id", "features/name")),
        "10x 2": lambda path: _write_10x(path, adata, "hg19", ("genes", "gene_names")),
        "loom": lambda path: _write_loom(path, adata),
        "h5mu": lambda path: _modalities().write_h5mu(path),
        "h5mu rna": lambda path: _modalities().write_h5mu(path),
        "mudata.zarr": lambda path: _modalities().write_zarr(path),
    }
    paths = {name: folder / (name if "." in name else f"{name}.h5") for name in chosen(writers, parts)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, path in paths.items():
            writers[name](path)
    return paths


def _write_10x(path, adata, group, columns):
    with h5py.File(path, "w") as h5:
        for part in ("data", "indices", "indptr"):
            values = getattr(adata.X, part)
            h5.create_dataset(f"{group}/{part}", data=values, chunks=(min(100, values.size),), compression="gzip")
        h5[f"{group}/shape"] = np.array(adata.shape[::-1], "i4")
        h5[f"{group}/barcodes"] = np.array(adata.obs_names, "S")
        for column in columns:
            h5[f"{group}/{column}"] = np.array(adata.var_names, "S")


def _write_loom(path, adata):
    with h5py.File(path, "w") as h5:
        h5.create_dataset("matrix", data=adata.X.toarray().T, chunks=(11, 7), compression="gzip")
        h5["row_attrs/Gene"] = np.array(adata.var_names, "S")
        h5["col_attrs/CellID"] = np.array(adata.obs_names, "S")
        h5["col_attrs/depth"] = adata.obs["depth"].to_numpy()


def _modalities():
    return mudata.MuData({name: small_cells(dense=name == "protein") for name in MODALITIES})


def write_stores(folder, parts=""):
    """Write zarr stores, some also as zip files; return their paths by name."""
    paths = {}
    for name in chosen(STORES, parts):
        kwargs = dict(STORES[name])
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
    elif case.harm == "doubled":  # a larger one, as blocks of a disk or of a transfer are
        length = min(int(2 ** rng.uniform(6, 12)), len(data) // 2)
        step = int(rng.choice([1, 8, 64, 512]))
        source, place = (int(rng.integers((len(data) - length) // step + 1)) * step for _ in range(2))
        data[place : place + length] = data[source : source + length]
    elif case.harm == "appended":
        data += rng.bytes(length)
    else:
        stretch = {"bytes": rng.bytes(length), "zeros": bytes(length), "ones": b"\xff" * length}[case.harm]
        data[place : place + length] = stretch
    return bytes(data)


def outcome(path, right, options):
    """Open and read a file; return in a word what came of it. Raises for what must not be.

    ``right`` are the matrices, dense, by their names in a batch.
    """
    warnings.simplefilter("ignore")
    rows = np.random.default_rng(0).permutation(N_OBS)
    try:
        collection = open_collection(path, num_threads=2, **options)
        batch = collection.read(rows)
        _ = collection.obs
        if "X" in right:
            _ = collection.var
    except ScDatasetError as error:
        return type(error).__name__ if str(path) in str(error) else f"raised {error!r}, which names no file"
    alike = [_checked(batch[name]).tobytes() == matrix[rows].tobytes() for name, matrix in right.items()]
    if "type" in batch.keys():  # noqa: SIM118 it is no dict
        codes = batch["type"]
        assert codes.shape == (N_OBS,)
        assert codes.min() >= -1
        assert codes.max() < len(collection.categories.get("type", [0] * 1000))
    return "right values" if all(alike) else "other values"


def _checked(matrix):
    """Return a matrix that was read as a dense one, once nothing in it can do harm."""
    assert matrix.shape == (N_OBS, N_VARS), matrix.shape
    if not scipy.sparse.issparse(matrix):
        return matrix
    assert matrix.indices.size == 0 or (matrix.indices.min() >= 0 and matrix.indices.max() < N_VARS)
    assert (np.diff(matrix.indptr) >= 0).all()
    assert matrix.indptr[-1] == matrix.data.size == matrix.indices.size
    return matrix.toarray()


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


def chosen(names, parts):
    """Return the names that have one of some parts, which commas divide."""
    return [name for name in names if any(part in name for part in parts.split(","))]


def options_of(name):
    """Return how a file is opened."""
    return OPTIONS.get(name, OF_ANNDATA)


class Sources:
    """Files and stores as they should be, and a copy of one of them with harm done to it."""

    def __init__(self, folder, parts):
        files = write_files(folder, f"{parts},gzip")  # of which one is that with tables
        self.paths = {**files, **write_stores(folder, parts), **write_others(folder, parts)}
        self.names = chosen([*self.paths, CACHED], parts)
        self.folder = folder
        self.right = {}
        for name, path in self.paths.items():
            batch = open_collection(path, num_threads=2, **options_of(name)).read(np.arange(N_OBS))
            matrices = MODALITIES if OPTIONS.get(name) == {} else ["X"]
            self.right[name] = {matrix: _checked(batch[matrix]).copy() for matrix in matrices}
            word = outcome(str(path), self.right[name], options_of(name))  # and all is compiled before the forks
            assert word == "right values", (name, word)
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
        word = in_child(outcome, str(path), self.right[case.file], options_of(case.file))
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
    word = outcome(path, right, OF_ANNDATA)
    return word if word == "right values" else f"raised by a table of the cache: {word}"


def run_all(count, seed, folder, files="", harms=""):
    """Try so many cases, or fewer if interrupted; return outcomes by count, and cases that failed and how.

    Outcomes are counted by file and word. ``files`` and ``harms`` are parts of the names of those that are tried.
    """
    sources, kinds = Sources(folder, files), chosen(HARMS, harms)
    rng = np.random.default_rng(seed)
    outcomes, failures = Counter(), []
    with contextlib.suppress(KeyboardInterrupt):
        for _ in range(count):
            case = Case(str(rng.choice(sources.names)), str(rng.choice(kinds)), int(rng.integers(2**40)))
            word = sources.run(case)
            outcomes[case.file, word.split(":")[0]] += 1
            if word.startswith(("raised", "hung", "died")):
                failures.append((case, word))
    return outcomes, failures


def table(outcomes):
    """Return outcomes as lines of text, a line a file."""
    words = sorted({word for _, word in outcomes})
    lines = [["", *words]]
    files = sorted({file for file, _ in outcomes})
    lines += [[file, *(str(outcomes[file, word]) for word in words)] for file in files]
    lines.append(["all", *(str(sum(n for (_, each), n in outcomes.items() if each == word)) for word in words)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + "\n" for line in lines
    )


def main():
    """Run from the command line."""
    count, seed, files, harms = [*sys.argv[1:], *("1000", "0", "", "")[len(sys.argv) - 1 :]]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcomes, failures = run_all(int(count), int(seed), Path(folder), files, harms)
    sys.stdout.write(table(outcomes))
    for case, word in failures:
        sys.stdout.write(f"FAILED {case}: {word}\n")
    sys.stdout.write(f"{outcomes.total()} cases in {time.monotonic() - begin:.0f} s, {len(failures)} failures\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

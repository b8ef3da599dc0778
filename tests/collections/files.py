"""Containers over the reference that are files, and those that are made of other containers."""

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
import zarr
from anndata.experimental import AnnCollection
from tests.collections.containers import in_memory, on_disk
from tests.collections.reference import CUBE, IDS, LABELS, N_ROWS, TYPES, X, objects

from scdataset import MultiIndexable, as_collection

CELLS = {
    "X": X,
    "layer": X * 2,
    "obsm": X[:, 1:3],
    "id": IDS,
    "type": objects(TYPES),
    "codes": pd.Categorical(TYPES).codes,
    "names": objects(LABELS),
}


def memmap(path, array, offset=0):
    """Return a read-only memmap of a new file that holds ``array`` after ``offset`` bytes."""
    path.write_bytes(bytes(offset) + array.tobytes())
    return np.memmap(path, array.dtype, "r", offset, array.shape)


@on_disk("memmap")
def _(folder, built):
    return memmap(folder / "x", X, offset=12), {"": X}


@on_disk("memmap part")
def _(folder, built):
    return memmap(folder / "x", np.vstack([CUBE, CUBE]))[N_ROWS:], {"": CUBE}


@on_disk("memmap npy")
def _(folder, built):
    np.save(folder / "x.npy", X)
    return np.load(folder / "x.npy", mmap_mode="r"), {"": X}


H5PY = {
    "1-D": (IDS, {}),
    "chunked": (X, {"chunks": (4, 5), "compression": "gzip", "shuffle": True}),
    "contiguous": (CUBE, {}),
    "strings": (np.array([label.encode() for label in LABELS], object), {"dtype": h5py.string_dtype()}),
    "fixed strings": (LABELS.astype("S7"), {}),
    "compound": (np.rec.fromarrays([IDS, X[:, 1]], names="id,x").view(np.ndarray), {}),
}


def h5py_dataset(folder, values, options):
    with h5py.File(folder / "data.h5", "w") as file:
        file.create_dataset("group/x", data=values, **options)
    return h5py.File(folder / "data.h5", "r")["group/x"]


for name, (values, options) in H5PY.items():
    on_disk(f"h5py {name}")(lambda folder, built, v=values, o=options: (h5py_dataset(folder, v, o), {"": v}))


@on_disk("h5py as str")
def _(folder, built):
    return h5py_dataset(folder, *H5PY["strings"]).asstr(), {"": objects(LABELS)}


ZARR = {
    "v2": {"zarr_format": 2, "chunks": (4, 5)},
    "v3": {"zarr_format": 3, "chunks": (4, 5)},
    "sharded": {"chunks": (4, 5), "shards": (12, 5)},
}


def zarr_array(folder, values, options):
    zarr.create_array(folder / "x.zarr", data=values, **options)
    return zarr.open_array(folder / "x.zarr", mode="r")


for name, options in ZARR.items():
    on_disk(f"zarr {name}")(lambda folder, built, o=options: (zarr_array(folder, X, o), {"": X}))


@on_disk("zarr strings")
def _(folder, built):
    return zarr_array(folder, LABELS.astype(np.dtypes.StringDType()), {}), {"": objects(LABELS)}


@on_disk("zarr in memory")
def _(folder, built):
    return zarr.create_array(zarr.storage.MemoryStore(), data=CUBE), {"": CUBE}


@on_disk("zarr zip")
def _(folder, built):
    with zarr.storage.ZipStore(folder / "x.zip", mode="w") as store:
        zarr.create_array(store, data=X, chunks=(4, 5))
    return zarr.open_array(zarr.storage.ZipStore(folder / "x.zip", mode="r"), mode="r"), {"": X}


def cells(matrix, rows=slice(None)):
    """Return some rows of the reference as AnnData."""
    obs = pd.DataFrame({"id": IDS, "type": pd.Categorical(TYPES)}, index=LABELS)
    adata = anndata.AnnData(matrix(X), obs=obs, uns={"species": "human"})
    adata.layers["counts"] = matrix(X * 2)
    adata.obsm["pca"] = X[:, 1:3]
    with anndata.settings.override(remove_unused_categories=False):
        return adata[rows].copy()


def backed(folder, matrix, rows=slice(None)):
    """Return the same, written to a file and backed by it."""
    path = folder / f"{len(list(folder.iterdir()))}.h5ad"
    cells(matrix, rows).write_h5ad(path)
    return anndata.read_h5ad(path, backed="r")


PARTS = (slice(0, 11), slice(11, 12), slice(12, N_ROWS))
BY_COLUMN = {"CSC": "sparse by columns"}
for kind, matrix in {"CSR": sp.csr_matrix, "CSC": sp.csc_matrix, "dense": np.array}.items():
    warning = BY_COLUMN.get(kind)
    in_memory(f"AnnData {kind}", CELLS, cells, matrix, warning=warning)
    on_disk(f"AnnData {kind} backed")(lambda folder, built, m=matrix, w=warning: (backed(folder, m), CELLS, w))
for kind, matrix in {"CSR": sp.csr_matrix, "dense": np.array}.items():
    in_memory(
        f"AnnCollection {kind}", CELLS, lambda matrix: AnnCollection([cells(matrix, part) for part in PARTS]), matrix
    )
    on_disk(f"AnnCollection {kind} backed")(
        lambda folder, built, m=matrix: (AnnCollection([backed(folder, m, part) for part in PARTS]), CELLS)
    )


def among_others(adata, names):
    """Return the cells with their genes among others, which are 7 everywhere."""
    found = adata.var_names.get_indexer(list(names))

    def widen(matrix):
        values = matrix.toarray() if sp.issparse(matrix) else matrix
        widened = np.where(found < 0, np.float32(7), values[:, found])
        return sp.csr_matrix(widened) if sp.issparse(matrix) else widened

    layers = {name: widen(layer) for name, layer in adata.layers.items() if name is not None}
    return anndata.AnnData(widen(adata.X), adata.obs, pd.DataFrame(index=list(names)), obsm=adata.obsm, layers=layers)


GENES = ("0a1234", "41b230", "01234")
"""Genes of three files, a letter each, of which those of the reference are in all."""


@on_disk("AnnCollection genes joined")
def _(folder, built):
    for number, (part, names) in enumerate(zip(PARTS, GENES, strict=True)):
        among_others(cells(sp.csr_matrix, part), names).write_h5ad(folder / f"{number}.h5ad")
    files = [anndata.read_h5ad(folder / f"{number}.h5ad", backed="r") for number in range(len(PARTS))]
    return AnnCollection(files, join_vars="inner"), CELLS


@on_disk("AnnData list backed")
def _(folder, built):
    return [backed(folder, sp.csr_matrix, part) for part in PARTS], CELLS


@on_disk("AnnData tuple backed in part")
def _(folder, built):
    return (backed(folder, np.array, PARTS[0]), *(cells(np.array, part) for part in PARTS[1:])), CELLS


for kind, matrix in {"CSR": sp.csr_matrix, "CSC": sp.csc_matrix}.items():
    warning = BY_COLUMN.get(kind)
    on_disk(f"{kind} on disk")(lambda folder, built, m=matrix, w=warning: (backed(folder, m).X, {"": X}, w))


class Own:
    """A user's collection, which has a handle and reads in any order."""

    def __init__(self, handle):
        self.handle = handle

    def __len__(self):
        return self.handle.shape[0]

    def read(self, rows):
        return as_collection(self.handle).read(rows)

    def fingerprint(self):
        return "own"


class Ascending:
    """A user's container, which knows nothing of collections and wants rows in the order of the disk."""

    def __len__(self):
        return N_ROWS

    def __getitem__(self, rows):
        assert rows.dtype == np.int64
        assert np.all(np.diff(rows) > 0)
        return {"id": IDS[rows], "x": (X[rows], CUBE[rows])}


@on_disk("own collection")
def _(folder, built):
    return Own(h5py_dataset(folder, X, {})), {"": X}


in_memory("unknown type", {"id": IDS, "x 0": X, "x 1": CUBE}, Ascending)

MODALITIES = [
    *("numpy 2-D", "torch 1-D", "list", "scipy csr_matrix", "pandas frame", "polars frame", "arrow table"),
    *("datasets None", "datasets torch", "map-style tuples", "map-style dicts", "memmap part", "h5py chunked"),
    *("zarr sharded", "AnnData CSR backed", "AnnCollection CSR backed", "own collection", "unknown type"),
]


@on_disk("MultiIndexable")
def _(folder, built):
    modalities = {name: built(name) for name in MODALITIES}
    expected = {f"{name} {inner}".strip(): a for name, part in modalities.items() for inner, a in part.expected.items()}
    return MultiIndexable({name: part.data for name, part in modalities.items()}, unstructured={"genes": 5}), expected


@on_disk("MultiIndexable nested")
def _(folder, built):
    inner, outer = built("h5py 1-D"), built("list")
    data = MultiIndexable(MultiIndexable(inner.data, names=["inner"]), outer.data)
    return data, {"0 inner": IDS, "1": objects(LABELS)}

"""Small files and stores of AnnData and MuData, 10x and loom."""

import warnings
import zipfile

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import scipy.sparse
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

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
"""Options of h5ad files by name."""

STORES = {
    "zarr v2": {"zarr_format": 2},
    "zarr v2 dense": {"zarr_format": 2, "dense": True},
    "zarr v3": {"compressors": [ZstdCodec()]},
    "zarr v3 gzip": {"compressors": [GzipCodec()]},
    "zarr v3 plain": {"compressors": None},
    "zarr v3 sharded": {"shards": 300, "compressors": [BloscCodec()]},
    "zarr v3 sharded plain": {"shards": 300, "compressors": None},
}
"""Options of zarr stores by name."""

ZIPPED = ("zarr v2", "zarr v2 dense", "zarr v3", "zarr v3 plain", "zarr v3 sharded", "zarr v3 sharded plain")
"""Stores that are also written as zip files."""

DEFLATED = ("zarr v2", "zarr v3 sharded plain")
"""Stores that are also written as zip files whose entries are compressed."""

MODALITIES = ("rna", "protein")


def small_cells(*, dense=False, seed=0):
    """Return AnnData of few cells, with labels and numbers in obs and an array in obsm."""
    rng = np.random.default_rng(seed)
    counts = scipy.sparse.random_array((N_OBS, N_VARS), density=0.3, format="csr", rng=rng, dtype=np.float32)
    obs = pd.DataFrame(
        {"type": pd.Categorical(rng.choice(["a", "b", "c"], N_OBS)), "depth": rng.random(N_OBS)},
        index=[f"cell{i}" for i in range(N_OBS)],
    )
    return anndata.AnnData(counts.toarray() if dense else counts, obs=obs, obsm={"X_pca": rng.normal(size=(N_OBS, 2))})


def write_h5ad(path, name, seed=0):
    """Write an h5ad file of a name in `FILES`."""
    kwargs = dict(FILES[name])
    adata = small_cells(dense=kwargs.pop("dense", False), seed=seed)
    adata.write_h5ad(path)
    if kwargs:
        _store_again(path, kwargs)


def _store_again(path, options):
    """Store the matrix in several chunks, with filters."""
    with h5py.File(path, "a") as h5:
        names = ["X"] if isinstance(h5["X"], h5py.Dataset) else ["X/data", "X/indices"]
        for name in names:
            values, attributes = h5[name][:], dict(h5[name].attrs)
            del h5[name]
            chunks = (7, 11) if values.ndim == 2 else (100,)
            h5.create_dataset(name, data=values, chunks=chunks, **options).attrs.update(attributes)


def write_10x(path, seed, group, columns):
    """Write a 10x file of Cell Ranger 3, or 2, which has genes in another group and other columns."""
    adata = small_cells(seed=seed)
    with h5py.File(path, "w") as h5:
        for part in ("data", "indices", "indptr"):
            values = getattr(adata.X, part)
            h5.create_dataset(f"{group}/{part}", data=values, chunks=(min(100, values.size),), compression="gzip")
        h5[f"{group}/shape"] = np.array(adata.shape[::-1], "i4")
        h5[f"{group}/barcodes"] = np.array(adata.obs_names, "S")
        for column in columns:
            h5[f"{group}/{column}"] = np.array(adata.var_names, "S")


def write_loom(path, seed=0):
    """Write a loom file."""
    adata = small_cells(seed=seed)
    with h5py.File(path, "w") as h5:
        h5.create_dataset("matrix", data=adata.X.toarray().T, chunks=(11, 7), compression="gzip")
        h5["row_attrs/Gene"] = np.array(adata.var_names, "S")
        h5["col_attrs/CellID"] = np.array(adata.obs_names, "S")
        h5["col_attrs/depth"] = adata.obs["depth"].to_numpy()


def small_modalities(seed=0):
    """Return MuData of a sparse and a dense modality."""
    return mudata.MuData({name: small_cells(dense=name == "protein", seed=seed) for name in MODALITIES})


def write_store(path, name, seed=0):
    """Write a zarr store of a name in `STORES`."""
    kwargs = dict(STORES[name])
    adata = small_cells(dense=kwargs.pop("dense", False), seed=seed)
    with anndata.settings.override(zarr_write_format=kwargs.pop("zarr_format", 3)):
        adata.write_zarr(path, chunks=None if scipy.sparse.issparse(adata.X) else (7, 11))
    if scipy.sparse.issparse(adata.X):
        _store_in_chunks(path, kwargs)


def _store_in_chunks(path, options):
    """Store the values and columns of a sparse matrix in several chunks, or in shards of several chunks."""
    group = zarr.open_group(str(path), mode="a", use_consolidated=False)["X"]
    for name in ("data", "indices"):
        values = group[name][:]
        shards = (options["shards"],) if "shards" in options else None
        more = {"compressors": options["compressors"]} if "compressors" in options else {}
        group.create_array(name, data=values, chunks=(100,), shards=shards, overwrite=True, **more)


def zipped(store, path, compression=zipfile.ZIP_STORED):
    """Write the files of a store as a zip file."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(store.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(store))


def quietly(write, *arguments):
    """Call a function without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(*arguments)

"""All files and stores that are harmed, how they are opened, and what reading them has to give."""

import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from tests.soak.damage import anndata_files, list_files
from tests.soak.damage.anndata_files import (
    DEFLATED,
    FILES,
    MODALITIES,
    N_OBS,
    N_VARS,
    OBS,
    STORES,
    ZIPPED,
    quietly,
    small_cells,
    zipped,
)

from scdataset import open_collection
from scdataset.errors import ScDatasetError

OF_ANNDATA = {"obs": OBS, "obsm": ["X_pca"]}
OF_LISTS = {"obs": OBS, "gene_table": N_VARS}
ROWS = np.random.default_rng(0).permutation(N_OBS)


@dataclass(frozen=True)
class Source:
    """A file or store that can be written.

    Attributes
    ----------
    group
        The row of the table that it counts in.
    ending
        How its name ends.
    write
        Writes it to a path, with other values for another seed.
    options
        How it is opened.
    covered
        Whether checksums cover all of its bytes, so that nothing but the right values may come of it.
    """

    group: str
    ending: str
    write: Callable[[Path, int], None]
    options: dict[str, Any] = field(default_factory=lambda: OF_ANNDATA)
    covered: bool = False


def _h5ad(name):
    return Source("h5ad", ".h5ad", lambda path, seed: anndata_files.write_h5ad(path, name, seed))


def _store(name):
    kind = "zarr, sharded" if "sharded" in name else "zarr"
    return Source(kind, ".zarr", lambda path, seed: anndata_files.write_store(path, name, seed))


def _zip(name, compression):
    def write(path, seed):
        folder = path.with_suffix(".folder")
        anndata_files.write_store(folder, name, seed)
        zipped(folder, path, compression)

    return Source("zarr, zip", ".zarr.zip", write)


def _mudata_zip(path, seed):
    folder = path.with_suffix(".folder")
    anndata_files.small_modalities(seed).write_zarr(folder)
    zipped(folder, path)


def _cellstream(path, seed):
    from cellstream.cell import write_cell_archive

    adata = small_cells(seed=seed)
    adata.X.data = np.ceil(adata.X.data * 50)
    write_cell_archive(adata, path)


_OF_10X = {"obs": ["barcode"]}
_RNA = {"modality": "rna", **OF_ANNDATA}

SOURCES = {
    **{name: _h5ad(name) for name in FILES},
    **{name: _store(name) for name in STORES},
    **{f"{name} zip": _zip(name, zipfile.ZIP_STORED) for name in ZIPPED},
    **{f"{name} deflated": _zip(name, zipfile.ZIP_DEFLATED) for name in DEFLATED},
    "10x 3": Source(
        "10x",
        ".h5",
        lambda path, seed: anndata_files.write_10x(path, seed, "matrix", ("features/id", "features/name")),
        _OF_10X,
    ),
    "10x 2": Source(
        "10x",
        ".h5",
        lambda path, seed: anndata_files.write_10x(path, seed, "hg19", ("genes", "gene_names")),
        _OF_10X,
    ),
    "loom": Source("loom", ".loom", anndata_files.write_loom, {"obs": ["depth"]}),
    "h5mu": Source("h5mu", ".h5mu", lambda path, seed: anndata_files.small_modalities(seed).write_h5mu(path), {}),
    "h5mu rna": Source("h5mu", ".h5mu", lambda path, seed: anndata_files.small_modalities(seed).write_h5mu(path), _RNA),
    "mudata zarr": Source(
        "MuData zarr", ".zarr", lambda path, seed: anndata_files.small_modalities(seed).write_zarr(path), {}
    ),
    "mudata zarr rna zip": Source("MuData zarr", ".zarr.zip", _mudata_zip, _RNA),
    "arrow file": Source("Arrow", ".arrow", list_files.write_arrow, OF_LISTS),
    "arrow stream": Source("Arrow", ".arrow", partial(list_files.write_arrow, stream=True), OF_LISTS),
    "arrow zstd": Source("Arrow", ".arrow", partial(list_files.write_arrow, compression="zstd"), OF_LISTS),
    "parquet": Source("Parquet", ".parquet", list_files.write_parquet, OF_LISTS),
    "hugging face": Source("Hugging Face", "", list_files.write_hugging_face, OF_LISTS),
    "text": Source("Matrix Market", "", list_files.write_text, _OF_10X),
    "text gz": Source("Matrix Market", "", partial(list_files.write_text, packed=True), _OF_10X),
    "scdl": Source("SCDL", "", list_files.write_scdl, {"obs": OBS}),
}
if find_spec("cellstream"):
    SOURCES["cellstream"] = Source("cellstream", ".shad", _cellstream)

COPIED = ("text", "text gz", "parquet", "arrow zstd")
"""Sources that are read through a copy in the cache."""


class Files:
    """Sources as files in a folder, written where they are first asked for, and what reading them gives."""

    def __init__(self, folder):
        self.folder = folder
        self._right = {}

    def path(self, name, seed=0):
        """Return the path of a source, which is written if it is not there."""
        path = self.folder / f"{name.replace(' ', '_')}_{seed}{SOURCES[name].ending}"
        if not path.exists():
            quietly(SOURCES[name].write, path, seed)
        return path

    def workplace(self):
        """Return an empty folder of this process."""
        place = self.folder / f"work{os.getpid()}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place

    def right(self, name, seed=0):
        """Return what reading a source has to give, by name; the matrix is compared with what was written."""
        if (name, seed) not in self._right:
            found = read_all(self.path(name, seed), SOURCES[name].options)
            if "X" in found and name != "cellstream":
                assert np.allclose(found["X"], small_cells(dense=True, seed=seed).X[ROWS], rtol=1e-6), name
            self._right[name, seed] = found
        return self._right[name, seed]


def read_all(path, options):
    """Open and read a whole file; return all that a batch holds, by name, dense."""
    collection = open_collection(path, num_threads=2, **options)
    try:
        batch = collection.read(ROWS)
        _ = collection.obs
        if "X" in batch.keys():  # noqa: SIM118 it is no dict
            _ = collection.var
        return {name: _checked(name, batch[name], collection) for name in batch.keys()}  # noqa: SIM118
    finally:
        collection.close()


def outcome(path, right, options):
    """Open and read a file; return in a word what came of it. Raises for what must not be."""
    try:
        found = read_all(path, options)
    except ScDatasetError as error:
        return word_of(error, path)
    return "right values" if same(found, right) else "other values"


def word_of(error, path):
    """Return the word for an error of ours, which has to name the file."""
    return type(error).__name__ if str(path) in str(error) else f"raised {error!r}, which names no file"


def same(found, right):
    """Tell whether two batches hold the same bytes under the same names."""
    return found.keys() == right.keys() and all(found[name].tobytes() == right[name].tobytes() for name in right)


def _checked(name, part, collection):
    """Return a part of a batch as a dense array, once nothing in it can do harm."""
    assert part.shape[0] == N_OBS, part.shape
    if name in {"X", *MODALITIES}:
        assert part.shape == (N_OBS, N_VARS), part.shape
    if scipy.sparse.issparse(part):
        assert part.indices.size == 0 or (part.indices.min() >= 0 and part.indices.max() < part.shape[1])
        assert (np.diff(part.indptr) >= 0).all()
        assert part.indptr[-1] == part.data.size == part.indices.size
        return part.toarray()
    return labelled(name, part, collection)


def labelled(name, part, collection):
    """Return labels where a column of obs has codes of them, and anything else as it is."""
    labels = collection.categories.get(name)
    if labels is None:
        return np.ascontiguousarray(part)
    assert part.min() >= -1
    assert part.max() < len(labels)
    return np.array([*labels.astype(str), ""], object)[part].astype("U9")

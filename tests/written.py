"""Small files of the same layouts as the real ones, under the same names, for machines that have none."""

import functools
import gzip
import itertools
import warnings
import zipfile
from functools import partial
from pathlib import Path

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp
import zarr

LABELS = ["B", "T", "NK"]
H5AD = [
    "cells/heart_human.h5ad",
    "cells/heart_chicken.h5ad",
    "cells/merfish_mouse.h5ad",
    "odd/scfates_test_unsorted_indices.h5ad",
    "odd/cap_valid_dense_float64.h5ad",
    "old_schema/anndata_archive_v0.5.0.h5ad",
    "old_schema/anndata_archive_v0.7.0.h5ad",
    "old_schema/anndata_archive_v0.7.8.h5ad",
    "old_schema/scirpy_wu2020_200_v0_6.h5ad",
]
"""Files of cells that versions of anndata from 0.5 on wrote."""
STRINGS_AS_ARRAYS = partial(anndata.settings.override, allow_write_nullable_strings=False)
"""Lets anndata from 0.13 on write strings as earlier versions do: as arrays, without a mask."""


def counts(n_obs, n_vars, dtype="f4", seed=0):
    return sp.csr_matrix(np.random.default_rng(seed).poisson(0.4, (n_obs, n_vars)).astype(dtype))


def unsorted(matrix):
    """Return a copy whose column numbers descend within each row."""
    order = np.concatenate([np.arange(stop, start, -1) - 1 for start, stop in itertools.pairwise(matrix.indptr)])
    return sp.csr_matrix((matrix.data[order], matrix.indices[order], matrix.indptr), matrix.shape)


def frame(names, seed=0):
    """Return a column of every type that all versions of anndata write."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(LABELS, len(names))
    columns = {
        "kind": pd.Categorical(labels, LABELS),
        "grade": pd.Categorical(labels, LABELS, ordered=True),
        "int64": rng.integers(0, 99, len(names)),
        "float64": rng.normal(size=len(names)),
        "uint8": rng.integers(0, 255, len(names)).astype("u1"),
    }
    return pd.DataFrame(columns, index=pd.Index(names, name=None))


def cells(X, genes=None, seed=0):  # noqa: N803 the field's name
    """Return an AnnData with layers, obsm and raw, as old as its matrix allows."""
    genes = [f"gene{i}" for i in range(X.shape[1])] if genes is None else genes
    made = anndata.AnnData(X, frame([f"cell{i}" for i in range(X.shape[0])], seed), pd.DataFrame(index=genes))
    made.obsm["X_pca"] = np.random.default_rng(seed).normal(size=(made.n_obs, 5))
    return made


def layered(n_obs=30, n_vars=20):
    made = cells(counts(n_obs, 2 * n_vars))
    raw = made.copy()
    made = made[:, :n_vars].copy()
    made.raw = raw
    made.layers["array"], made.layers["sparse"] = made.X.toarray().astype("f8"), made.X.astype("f8")
    return made


def write_organ(path, seed):
    """Write a file of the atlases of today: genes are numbered, and named in a column."""
    made = cells(counts(600, 40, seed=seed), list(map(str, range(40))), seed)
    made.var["ensembl_id"] = [f"ENSG{5 * seed + i}" for i in range(40)]
    made.obs.index.name = "barcode"
    made.write_h5ad(path)


def write_nullable(path):
    made = cells(counts(10, 20))
    made.obs["cat_unordered"] = made.obs["kind"]
    made.obs["bool"] = np.arange(10) % 2 == 0
    made.obs["nullable-int32"] = pd.array([1, None] * 5, dtype="Int32")
    made.obs["nullable-bool"] = pd.array([True, None] * 5, dtype="boolean")
    for name, layer in {
        "array": made.X.toarray().astype("f8"),
        "sparse": made.X,
        "sparse_array": sp.csr_array(made.X),
    }.items():
        made.layers[name] = layer
    made.write_h5ad(path)


def write_same_cells(path, *, more_genes):
    made = cells(counts(200, 50), [f"gene{i}" for i in range(50)])
    made.obs["none"] = pd.Categorical([None] * 200)
    (made if more_genes else made[:, 10:30].copy()).write_h5ad(path)


def write_without_categories(path, made):
    """Write as anndata 0.7 did: categories in a group beside the columns, and no encoding but of what needs one."""
    with STRINGS_AS_ARRAYS():
        made.write_h5ad(path, compression="lzf")
    with h5py.File(path, "a") as file:
        for group in [file["obs"], *([file["raw/var"]] if "raw" in file else [])]:
            for name in [name for name in group if isinstance(group[name], h5py.Group)]:
                column = group[name]
                codes, ordered = column["codes"][:], column.attrs["ordered"]
                file.copy(column["categories"], group.require_group("__categories"), name)
                del group[name]
                group[name] = codes
                group["__categories"][name].attrs["ordered"] = ordered
                group[name].attrs["categories"] = group["__categories"][name].ref
            group.attrs["encoding-version"] = "0.1.0"
        _forget_encodings(file)


def _forget_encodings(file):
    plain = [file]
    file.visititems(lambda _, item: plain.append(item))
    for item in plain:
        if item.attrs.get("encoding-type") in {"anndata", "dict", "array", "string-array"}:
            for attribute in ("encoding-type", "encoding-version"):
                del item.attrs[attribute]


def records(table, categories):
    """Return a frame as records, its names first; codes of categories stand for labels, which go to a dict."""
    columns = {"index": table.index.to_numpy().astype("S")}
    for name, column in table.items():
        is_category = isinstance(column.dtype, pd.CategoricalDtype)
        values = (column.cat.codes if is_category else column).to_numpy()
        columns[name] = values.astype("S") if values.dtype == object else values
        if is_category:
            categories[f"{name}_categories"] = np.array(column.cat.categories, "S")
    return np.rec.fromarrays(list(columns.values()), names=list(columns)).view(np.ndarray)


def write_records(path):
    """Write as anndata 0.5 did: obs, var and obsm are tables of records, and sparse matrices are marked as h5sparse."""
    made, uns = layered(), {}
    with h5py.File(path, "w") as file:
        file.create_dataset("X", data=made.X.toarray(), chunks=(7, 9), compression="gzip")
        file.create_dataset("obs", data=records(made.obs, uns), compression="gzip")
        file["var"] = records(made.var, uns)
        file["raw.var"] = records(made.raw.var, uns)
        pca = np.zeros(made.n_obs, [("X_pca", "f4", (5,))])
        pca["X_pca"] = made.obsm["X_pca"]
        file["obsm"] = pca
        raw = unsorted(made.raw.X)
        for part in ("data", "indices", "indptr"):
            file.create_dataset(f"raw.X/{part}", data=getattr(raw, part), compression="gzip")
        file["raw.X"].attrs.update({"h5sparse_format": "csr", "h5sparse_shape": raw.shape})
        for name, labels in uns.items():
            file[f"uns/{name}"] = labels


def write_tenx(path, parts):
    """Write datasets by their names; matrices become a column for each cell, as Cell Ranger has them."""
    with h5py.File(path, "w") as file:
        for name, values in parts.items():
            if sp.issparse(values):
                for part in ("data", "indices", "indptr"):
                    file.create_dataset(f"{name}/{part}", data=getattr(values, part), chunks=True, compression="gzip")
                file[f"{name}/shape"] = np.array(values.shape[::-1], "i4")
            else:
                file[name] = np.array(values, "S") if isinstance(values, list) else values


def wide(matrix, index="i8", pointers="i8"):
    """Return a matrix with numbers of other types, as stored."""
    matrix = matrix.copy()
    matrix.indices, matrix.indptr = matrix.indices.astype(index), matrix.indptr.astype(pointers)
    return matrix


def genome(name, seed=0):
    genes = [f"{name}{i}" for i in range(30)]
    barcodes = [f"cell{i}-1" for i in range(12)]
    matrix = wide(counts(12, 30, "i4", seed))
    return {name: matrix, f"{name}/barcodes": barcodes, f"{name}/genes": genes, f"{name}/gene_names": genes}


def features(n_vars, **more):
    listed = {
        "id": [f"ENSG{i}" for i in range(n_vars)],
        "name": [f"gene{i // 2}" if i < 6 else f"gene{i}" for i in range(n_vars)],
        "feature_type": ["Gene Expression"] * n_vars,
        "genome": ["GRCh38_chr21"] * n_vars,
        "_all_tag_keys": ["genome"],
    }
    return {f"matrix/features/{name}": values for name, values in (listed | more).items() if values is not None}


def sample(matrix, **more):
    """Return what Cell Ranger 3 stores of cells."""
    barcodes = [f"AAAC{i}-1" for i in range(matrix.shape[0])]
    return {"matrix": matrix, "matrix/barcodes": barcodes, **features(matrix.shape[1], **more)}


CHR21 = sample(wide(counts(60, 30, "i4")))


def write_probes(path):
    sparse = counts(80, 30, "i8").multiply(np.arange(80)[:, None] % 7 == 0).tocsr()
    more = {
        "filtered_probes": np.arange(30) % 2 == 0,
        "target_sets/probes": np.arange(9, dtype="u4"),
        "gene_id": ["a"] * 30,
    }
    write_tenx(path, sample(wide(sparse.astype("i8"), "i4", "i4"), **more))


def write_without_barcodes(path):
    small = wide(counts(50, 30, "u2"), "u2", "u8")
    write_tenx(path, {"matrix": small, **features(30, feature_type=None, genome=None, _all_tag_keys=None)})


def write_text(path):
    """Write the folder of text that belongs to the cells of `CHR21`."""
    path.parent.mkdir()
    listed = [CHR21[f"matrix/features/{name}"] for name in ("id", "name", "feature_type")]
    tables = {
        "features.tsv.gz": zip(*listed, strict=True),
        "barcodes.tsv.gz": zip(CHR21["matrix/barcodes"], strict=True),
    }
    for name, rows in tables.items():
        path.with_name(name).write_bytes(gzip.compress("".join("\t".join(row) + "\n" for row in rows).encode()))
    with gzip.open(path, "wb") as file:
        scipy.io.mmwrite(file, CHR21["matrix"].T.tocoo(), symmetry="general")


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())


def write_zip(path, write):
    """Write a zip archive of the store that a function writes to a folder, in zarr's format 2."""
    folder = path.with_suffix("")
    with anndata.settings.override(zarr_write_format=2):
        write(folder)
    zipped(folder, path)


def write_zarr_without_categories(folder, made):
    """Write a store as `write_without_categories` writes a file."""
    with STRINGS_AS_ARRAYS():
        made.write_zarr(folder)
    root = zarr.open_group(str(folder), mode="a", use_consolidated=False)
    for group in (root["obs"], root["raw/var"]):
        for name, column in list(group.groups()):
            codes, categories, ordered = column["codes"][:], column["categories"][:], column.attrs["ordered"]
            del group[name]
            group.create_array(name, data=codes).attrs["categories"] = f"__categories/{name}"
            anndata.io.write_elem(group.require_group("__categories"), name, categories.astype(object))
            group["__categories"][name].attrs.put({"ordered": bool(ordered)})
        group.attrs["encoding-version"] = "0.1.0"
    (folder / ".zmetadata").unlink(missing_ok=True)  # which would say how it was


def write_zarr_records(path):
    root = zarr.open_group(str(path), mode="w", zarr_format=2)
    matrix = np.random.default_rng(0).normal(size=(700, 30)).astype("f4")
    root.create_array("X", data=matrix, chunks=(64, 11))
    for name, table in {
        "obs": pd.DataFrame(index=[f"cell{i}" for i in range(700)]),
        "var": pd.DataFrame(
            {"gene_ids": np.array([f"E{i}" for i in range(30)], "S")}, index=["gene0", *map(str, range(29))]
        ),
    }.items():
        root.create_array(name, data=records(table, {}))


def modalities(axis=0):
    """Return two modalities of the same cells or of the same genes."""
    parts = {}
    for number, name in ((30, "mod2"), (20, "mod1")):
        names = [f"{name} {i}" for i in range(number)]
        same = [f"same {i}" for i in range(100)]
        X = counts(100, number, seed=number).toarray()  # noqa: N806
        parts[name] = anndata.AnnData(X, pd.DataFrame(index=same), pd.DataFrame(index=names))
        if axis == 1:
            parts[name] = (
                parts[name].T
                if name == "mod2"
                else anndata.AnnData(
                    counts(100, 100).toarray(),
                    pd.DataFrame(index=[f"{name} {i}" for i in range(100)]),
                    pd.DataFrame(index=same),
                )
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = mudata.MuData(parts, axis=axis)
    if axis == 0:
        data.obs["arange"] = np.arange(100)
    return data


def _quietly(write, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(*arguments)


VERSIONS = ("0.1.2", "0.2.4", "0.3.10")
SAMPLES = ("GSM4339772_C144", "GSM4339774_C146", "GSM4475052_C149")
WRITERS = {
    "cells/heart_human.h5ad": partial(write_organ, seed=0),
    "cells/heart_chicken.h5ad": partial(write_organ, seed=1),
    "cells/merfish_mouse.h5ad": partial(write_organ, seed=2),
    "odd/ktplotspy_ventolab_X_none.h5ad": lambda path: anndata.AnnData(
        obs=frame([f"c{i}" for i in range(90)])
    ).write_h5ad(path),
    "odd/scfates_test_unsorted_indices.h5ad": lambda path: cells(unsorted(counts(600, 20))).write_h5ad(path),
    "odd/cap_valid_dense_float64.h5ad": lambda path: cells(counts(10, 10, "f8").toarray()).write_h5ad(path),
    "old_schema/anndata_archive_v0.5.0.h5ad": write_records,
    "old_schema/anndata_archive_v0.7.0.h5ad": lambda path: write_without_categories(path, layered()),
    "old_schema/anndata_archive_v0.7.8.h5ad": lambda path: write_without_categories(path, layered(33, 17)),
    "old_schema/anndata_archive_v0.11.4.h5ad": lambda path: anndata.AnnData(obs=frame(["a", "b", "c"])).write_h5ad(
        path
    ),
    "old_schema/anndata_archive_v0.13.3.h5ad": write_nullable,
    "old_schema/scirpy_wu2020_200_v0_6.h5ad": partial(write_same_cells, more_genes=False),
    "old_schema/scirpy_wu2020_200_v0_11.h5ad": partial(write_same_cells, more_genes=True),
    "tenx/scanpy_v2_hg19chr21.h5": lambda path: write_tenx(path, genome("hg19_chr21")),
    "tenx/scanpy_v2_multiple_genomes.h5": lambda path: write_tenx(
        path, {**genome("hg19_chr21"), **genome("another_genome", 1), "another_genome/scalar_dataset": 7}
    ),
    "tenx/scanpy_v3_GRCh38chr21.h5": lambda path: write_tenx(path, CHR21),
    "tenx/scanpy_visium_raw_probe_2.1.0.h5": write_probes,
    "tenx/scanpy_visium_spaceranger1.0.0.h5": lambda path: write_tenx(path, sample(counts(100, 30, "f8"))),
    "tenx/singlecellexperiment_tenx.sub.h5": write_without_barcodes,
    "mtx/scanpy_v3_GRCh38_chr21/matrix.mtx.gz": write_text,
    "zarr/scanpy_10x-10k-subset.zarr": write_zarr_records,
    "zarr/anndata_archive_v0.7.0.zarr.zip": lambda path: write_zip(
        path, lambda to: write_zarr_without_categories(to, layered())
    ),
    "zarr/anndata_archive_v0.7.8.zarr.zip": lambda path: write_zip(
        path, lambda to: write_zarr_without_categories(to, layered())
    ),
    "zarr/anndata_archive_v0.11.4.zarr.zip": lambda path: write_zip(
        path, anndata.AnnData(obs=frame(["a", "b"])).write_zarr
    ),
    "zarr/anndata_archive_v0.13.3.zarr.zip": lambda path: write_zip(path, layered().write_zarr),
    "h5mu/mudata_v0.3.10_mdata_axis1.h5mu": lambda path: modalities(1).write_h5mu(path),
}
WRITERS |= {
    f"tenx/scirpy_{name}_filtered_feature_bc_matrix.h5": lambda path, seed=seed: write_tenx(
        path, sample(wide(unsorted(counts(40 + seed, 30, "i4", seed))))
    )
    for seed, name in enumerate(SAMPLES)
}
WRITERS |= {
    f"h5mu/mudata_v{version}_mdata_axis0.h5mu": lambda path: modalities().write_h5mu(path) for version in VERSIONS
}
WRITERS |= {
    f"zarr/mudata_v{version}_mdata_axis0.zarr.zip": lambda path: write_zip(path, modalities().write_zarr)
    for version in VERSIONS
}


def once(write):
    """Let a function write each file or store once for the same arguments, and then write the same bytes."""
    kept = {}

    @functools.wraps(write)
    def write_again(path, *arguments, **options):
        key = (Path(path).suffix, arguments, *sorted(options.items()))
        if key not in kept:
            returned = write(path, *arguments, **options)
            kept[key] = type(returned), _contents(Path(path))
            return returned
        kind, contents = kept[key]
        for name, content in contents.items():
            (Path(path) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(path) / name).write_bytes(content)
        return kind(path)

    return write_again


def _contents(path):
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path): file.read_bytes() for file in files}


class Written:
    """Files below a folder, each written when it is asked for first."""

    def __init__(self, folder):
        self._folder = folder

    def __call__(self, name):
        """Return the path of a file, or of a folder with all files in it."""
        path = self._folder / name
        for each, write in WRITERS.items():
            if (name == each or Path(name) in Path(each).parents) and not (self._folder / each).exists():
                (self._folder / each).parent.parent.mkdir(exist_ok=True, parents=True)
                if "mtx" not in each:
                    (self._folder / each).parent.mkdir(exist_ok=True)
                _quietly(write, self._folder / each)
        assert path.exists(), f"no function writes {name}"
        return path

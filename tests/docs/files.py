"""The files that the pages open, in every format that they show."""

import warnings
from pathlib import Path

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import scipy.io
import scipy.sparse


def write_files():
    """Write the cells in every format into the working folder."""
    cells = some_cells()
    cells.write_h5ad("atlas.h5ad")
    cells[:600, :2095].write_h5ad("plate1.h5ad")
    cells[600:, 5:].write_h5ad("plate2.h5ad")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the version of zarr
        cells.write_zarr("atlas.zarr")
    write_tenx(cells)
    write_lists(cells)
    write_scdl(cells)
    write_loom(cells)
    write_modalities(cells)
    write_archive(cells)


def some_cells():
    """Return 1,000 cells of two types and two batches, and of a screen."""
    X = scipy.sparse.random(1000, 2100, 0.02, format="csr", dtype=np.float32, random_state=0)  # noqa: N806
    X.data = np.ceil(X.data * 9)
    columns = {
        "cell_type": ["T", "B"] * 500,
        "gene": ["KLF1", "GATA1", "TP53", "non-targeting"] * 250,
        "batch": np.repeat(["A", "B"], 500),
        "donor": np.repeat(["D1", "D2", "D3", "D4"], 250),
    }
    obs = pd.DataFrame(columns, index=[f"cell {i}" for i in range(1000)]).astype("category")
    genes = {7: "CD3E", 9: "MS4A1", 12: "CD8A"}
    return anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=[genes.get(i, f"GENE{i}") for i in range(2100)]))


def write_tenx(cells):
    """Write the cells as Cell Ranger does, as .h5 and as text."""
    features = [[f"ENSG{i}", name, "Gene Expression"] for i, name in enumerate(cells.var_names)]
    with h5py.File("filtered_feature_bc_matrix.h5", "w") as file:
        for name in ("data", "indices", "indptr"):
            file[f"matrix/{name}"] = getattr(cells.X, name)
        file["matrix/shape"] = cells.shape[::-1]
        for name, values in zip(("id", "name", "feature_type"), zip(*features, strict=True), strict=True):
            file[f"matrix/features/{name}"] = np.array(values, "S")
    folder = Path("filtered_feature_bc_matrix")
    folder.mkdir()
    scipy.io.mmwrite(folder / "matrix.mtx", cells.X.T)
    (folder / "features.tsv").write_text("\n".join("\t".join(row) for row in features))
    (folder / "barcodes.tsv").write_text("\n".join(cells.obs_names))


def write_lists(cells):
    """Write the cells as Tahoe-100M has them, with a token that is no gene at the start of each."""
    rows = [cells.X[[i]] for i in range(100)]
    table = {"genes": [[1, *(row.indices + 3)] for row in rows], "expressions": [[-2.0, *row.data] for row in rows]}
    Path("tahoe").mkdir()
    pa.parquet.write_table(pa.table({**table, "drug": ["DMSO"] * 100}), "tahoe/train-0.parquet")
    genes = pa.table({"gene_symbol": cells.var_names.to_numpy(), "token_id": np.arange(cells.n_vars) + 3})
    pa.parquet.write_table(genes, "gene_metadata.parquet")


def write_scdl(cells):
    for name in ("obs_features", "var_features"):
        (Path("scdl") / name).mkdir(parents=True)
    for name, values in {"data": cells.X.data, "col_ptr": cells.X.indices, "row_ptr": cells.X.indptr}.items():
        values.astype({"data": "f4", "col_ptr": "u4", "row_ptr": "u8"}[name]).tofile(f"scdl/{name}.npy")
    Path("scdl/metadata.json").write_text("{}")
    pa.parquet.write_table(pa.table({"cell_type": cells.obs["cell_type"].to_numpy()}), "scdl/obs_features/0.parquet")
    pa.parquet.write_table(pa.table({"gene": cells.var_names.to_numpy()}), "scdl/var_features/0.parquet")


def write_loom(cells):
    with h5py.File("atlas.loom", "w") as file:
        file.create_dataset("matrix", data=cells.X.toarray().T, chunks=(20, 64), compression="gzip")
        file.create_group("row_attrs")
        file["col_attrs/cell_type"] = cells.obs["cell_type"].astype(str).to_numpy().astype("S")


def write_modalities(cells):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mudata.MuData({"rna": cells[:800].copy(), "protein": cells[300:, :5].copy()}).write_h5mu("cite.h5mu")


def write_archive(cells):
    try:
        from cellstream.cell import write_cell_archive
    except ImportError:
        return  # there is no cellstream for this platform
    write_cell_archive(cells, "atlas.shad", data_dtype="float32")

"""Every format passes the same tests."""

import importlib.util
import warnings
from types import MappingProxyType

import anndata
import h5py
import mudata
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.io
from tests.written import wide, write_tenx

from scdataset.testing.cell_files import CellFileTests

COUNTS = ("float32", "float64", "int32", "uint16")


class OfAnnData(CellFileTests):
    """Formats that anndata writes."""

    obs, obsm, layers = ("type", "depth"), ("X_pca",), ("double",)
    dtypes = ("float64", "uint16")


class TestH5ad(OfAnnData):
    dtypes = COUNTS

    def write(self, folder, cells):
        cells.write_h5ad(folder / "a.h5ad", compression="gzip" if cells.X.dtype == "f8" else None)
        return folder / "a.h5ad"


@pytest.mark.slow  # as TestZarr3
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
class TestZarr2(OfAnnData):
    def write(self, folder, cells):
        with anndata.settings.override(zarr_write_format=2):
            cells.write_zarr(folder / "a.zarr")
        return folder / "a.zarr"


@pytest.mark.filterwarnings("ignore:zarr v3 autosharding", "ignore:Consolidated metadata")
class TestZarr3(OfAnnData):
    def write(self, folder, cells):
        with anndata.settings.override(zarr_write_format=3):
            cells.write_zarr(folder / "a.zarr")
        return folder / "a.zarr"


class TestModalityOfH5mu(OfAnnData):
    options = MappingProxyType({"modality": "rna"})

    def write(self, folder, cells):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mudata.MuData({"rna": cells}).write(folder / "a.h5mu")
        return folder / "a.h5mu"


class TestTenx(CellFileTests):
    dtypes = COUNTS

    def write(self, folder, cells):
        genes, barcodes = list(cells.var_names), list(cells.obs_names)
        parts = {"id": genes, "name": genes, "feature_type": ["Gene Expression"] * len(genes)}
        listed = {f"matrix/features/{name}": values for name, values in parts.items()}
        write_tenx(folder / "a.h5", {"matrix": wide(cells.X), "matrix/barcodes": barcodes, **listed})
        return folder / "a.h5"


class TestText(CellFileTests):
    dtypes = ("int32",)

    def write(self, folder, cells):
        scipy.io.mmwrite(folder / "matrix.mtx", cells.X.T.tocoo().astype(cells.X.dtype))
        (folder / "features.tsv").write_text("".join(f"{name}\t{name}\tGene Expression\n" for name in cells.var_names))
        (folder / "barcodes.tsv").write_text("".join(f"{name}\n" for name in cells.obs_names))
        return folder


class TestLoom(CellFileTests):
    obs, obsm, layers = ("type", "depth"), ("X_pca",), ("double",)
    dtypes = COUNTS

    def write(self, folder, cells):
        with h5py.File(folder / "a.loom", "w") as file:
            file.create_dataset("matrix", data=cells.X.toarray().T, chunks=(16, 16), compression="gzip")
            file["layers/double"] = cells.layers["double"].toarray().T
            file["row_attrs/Gene"] = np.array(cells.var_names, "S")
            file["col_attrs/CellID"] = np.array(cells.obs_names, "S")
            file["col_attrs/type"] = np.array(cells.obs["type"], "S")
            file["col_attrs/depth"] = cells.obs["depth"].to_numpy()
            file["col_attrs/X_pca"] = cells.obsm["X_pca"]
        return folder / "a.loom"


class OfLists(CellFileTests):
    """Rows as lists of genes and of values."""

    obs = ("type", "depth")
    has_names = False
    dtypes = COUNTS
    options = MappingProxyType({"gene_table": {i: f"gene{i}" for i in range(40)}})

    def table(self, cells):
        offsets = pa.array(cells.X.indptr.astype("i4"))
        lists = {"genes": cells.X.indices.astype("i8"), "expressions": cells.X.data}
        columns = {name: pa.ListArray.from_arrays(offsets, pa.array(values)) for name, values in lists.items()}
        return pa.table({**columns, "type": list(cells.obs["type"]), "depth": cells.obs["depth"].to_numpy()})


class TestArrow(OfLists):
    def write(self, folder, cells):
        table = self.table(cells)
        with pa.ipc.new_file(str(folder / "a.arrow"), table.schema) as writer:
            writer.write_table(table, max_chunksize=16)
        return folder / "a.arrow"


class TestParquet(OfLists):
    def write(self, folder, cells):
        pyarrow.parquet.write_table(self.table(cells), folder / "a.parquet", row_group_size=16)
        return folder / "a.parquet"


@pytest.mark.skipif(importlib.util.find_spec("cellstream") is None, reason="cellstream is not here")
class TestCellstream(CellFileTests):
    obs, obsm = ("type", "depth"), ("X_pca",)
    has_names = False

    def write(self, folder, cells):
        from cellstream.cell import write_cell_archive

        del cells.layers["double"]  # the format has none
        write_cell_archive(cells, folder / "a.shad", data_dtype=str(cells.X.dtype))
        return folder / "a.shad"

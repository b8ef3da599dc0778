"""Small files of rows that are lists of genes, text, and plain bytes: Arrow, Parquet, Matrix Market, SCDL."""

import gzip
import struct

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import scipy.io
from tests.soak.damage.anndata_files import small_cells

_BATCH = 17
"""Rows in a record batch or row group."""


def gene_lists(seed=0):
    """Return rows as lists of genes and of values, with labels as text and numbers beside them."""
    adata = small_cells(seed=seed)
    rows = [adata.X[[row]] for row in range(adata.n_obs)]
    return pa.table(
        {
            "genes": [row.indices for row in rows],
            "expressions": [row.data for row in rows],
            "type": pa.array(adata.obs["type"].astype(str).to_numpy(object)),
            "depth": adata.obs["depth"].to_numpy(),
        }
    )


def write_arrow(path, seed, *, stream=False, compression=None):
    """Write an Arrow file or stream of several record batches."""
    table = gene_lists(seed)
    new, options = pa.ipc.new_stream if stream else pa.ipc.new_file, pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=_BATCH)


def write_parquet(path, seed):
    """Write a Parquet file of several row groups, with checksums of its pages."""
    pyarrow.parquet.write_table(gene_lists(seed), path, row_group_size=_BATCH, write_page_checksum=True)


def write_hugging_face(path, seed):
    """Save a data set of Hugging Face's in two files."""
    datasets.disable_progress_bars()
    datasets.Dataset(gene_lists(seed)).save_to_disk(str(path), num_shards=2)


def write_text(path, seed, *, packed=False):
    """Write a folder of Matrix Market text with its genes and barcodes, gzipped or not."""
    adata = small_cells(seed=seed)
    path.mkdir()
    scipy.io.mmwrite(path / "matrix.mtx", adata.X.T.tocoo())
    (path / "features.tsv").write_text("".join(f"E{i}\tgene{i}\tGene Expression\n" for i in range(adata.n_vars)))
    (path / "barcodes.tsv").write_text("".join(f"{name}\n" for name in adata.obs_names))
    if packed:
        for file in list(path.iterdir()):
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()


def write_scdl(path, seed):
    """Write a folder of SCDL, with the header that BioNeMo writes."""
    adata = small_cells(seed=seed)
    path.mkdir()
    arrays = {"DATA": ("data", adata.X.data, "f4", 6), "COLPTR": ("col_ptr", adata.X.indices, "u1", 1)}
    arrays["ROWPTR"] = ("row_ptr", adata.X.indptr, "u8", 4)
    header = b"SCDL" + bytes([0, 1, 0]) + b"\x01" + struct.pack(">II", 1, len(arrays))
    for name, (file, values, dtype, kind) in arrays.items():
        values.astype(dtype).tofile(path / f"{file}.npy")
        header += struct.pack(">I", len(name)) + name.encode() + struct.pack(">QIB", len(values), kind, 0)
    (path / "header.sch").write_bytes(header)
    (path / "metadata.json").write_text(f'{{"num_rows": {adata.n_obs}}}')
    for folder, table in (("var_features", adata.var.assign(id=np.arange(adata.n_vars))), ("obs_features", adata.obs)):
        (path / folder).mkdir()
        table.to_parquet(path / folder / "dataframe_0.parquet", index=False)

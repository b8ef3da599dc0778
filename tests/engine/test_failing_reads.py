"""Reads that are interrupted, short or fail: right rows, or an error that names the file."""

import errno
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import anndata
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.sparse
import zarr

HERE = Path(__file__).parent
COMPILER = shutil.which("cc")

pytestmark = pytest.mark.skipif(
    COMPILER is None or not sys.platform.startswith("linux"), reason="takes a C compiler and LD_PRELOAD"
)


def write_h5ad(path, matrix, **options):
    anndata.AnnData(matrix).write_h5ad(path)
    with h5py.File(path, "a") as file:
        for name in ["X"] if isinstance(file["X"], h5py.Dataset) else ["X/data", "X/indices"]:
            values, attributes = file[name][:], dict(file[name].attrs)
            del file[name]
            file.create_dataset(name, data=values, **options).attrs.update(attributes)


def write_zarr(path, matrix, **options):
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=3):
        warnings.simplefilter("ignore")
        anndata.AnnData(matrix).write_zarr(path)
    root = zarr.open_group(path)
    for name in ("data", "indices"):
        values = root[f"X/{name}"][:]
        root["X"].create_array(name, data=values, chunks=(50,), overwrite=True, **options)


def write_arrow(path, matrix):
    rows = [matrix[[row]] for row in range(matrix.shape[0])]
    table = pa.table({"genes": [r.indices for r in rows], "expressions": [r.data for r in rows]})
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=20)


def write_others(folder):
    """Write files that are looked into, to tell their kind, in other ways."""
    shutil.make_archive(str(folder / "zstd.zarr"), "zip", folder / "zstd.zarr")
    (folder / "matrix.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n1 1 1\n1 1 1\n")
    pa.parquet.write_table(pa.table({"genes": [[1]], "expressions": [[1]]}), folder / "lists.parquet")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failing")
    library = folder / "failing_reads.so"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, HERE / "failing_reads.c", "-ldl"], check=True)
    matrix = scipy.sparse.random(60, 40, 0.3, format="csr", dtype=np.float32, random_state=0)
    write_h5ad(folder / "plain.h5ad", matrix)
    write_h5ad(folder / "gzip.h5ad", matrix, chunks=(50,), compression="gzip")
    write_h5ad(folder / "dense.h5ad", matrix.toarray())
    write_zarr(folder / "zstd.zarr", matrix)
    write_zarr(folder / "sharded.zarr", matrix, shards=(10_000,), compressors=None)
    write_arrow(str(folder / "lists.arrow"), matrix)
    cases = {path.name: (str(path), {}) for path in sorted(folder.iterdir()) if path.suffix not in {".so", ".arrow"}}
    cases["some genes"] = (str(folder / "plain.h5ad"), {"genes": ["3", "1", "20"]})
    cases["lists.arrow"] = (str(folder / "lists.arrow"), {"gene_table": 40})
    lasting = [(error, 1) for error in (errno.EIO, errno.EAGAIN, errno.ESTALE)]
    write_others(folder)
    others = {path.name: (str(path), {"gene_table": 40}) for path in folder.glob("*.parquet")}
    others |= {path.name: (str(path), {}) for path in [*folder.glob("*.zip"), *folder.glob("*.mtx")]}
    given = json.dumps([cases, others, [(errno.EINTR, 2), (0, 2), *lasting]])
    environment = {**os.environ, "LD_PRELOAD": str(library), "SCDATASET_CACHE": "0"}
    done = subprocess.run(
        [sys.executable, HERE / "failing_reads.py", given], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_interrupted_and_short_reads_go_on(outcomes):
    harmless = {case: seen for case, seen in outcomes.items() if case.endswith((f" {errno.EINTR}", " 0"))}
    assert len(harmless) == 14
    assert {case: seen for case, seen in harmless.items() if seen != "right"} == {}


@pytest.mark.parametrize("error", [errno.EIO, errno.EAGAIN, errno.ESTALE], ids=errno.errorcode.get)
def test_a_read_that_fails_is_an_error_that_names_the_file_and_the_cause(outcomes, error):
    failing = {
        case: seen for case, seen in outcomes.items() if case.endswith(f" {error}") and not case.startswith("opening")
    }
    assert len(failing) == 7
    named = [seen.startswith("damaged: /") and f"[Errno {error}]" in seen for seen in failing.values()]
    assert all(named), failing


def test_a_file_that_cannot_be_read_when_it_is_opened_is_an_error_that_names_it(outcomes):
    opening = {case: seen for case, seen in outcomes.items() if case.startswith("opening")}
    assert len(opening) == 3 * 10
    refused = {case: seen for case, seen in opening.items() if seen.startswith(("DamagedFileError: /", "Collection"))}
    assert {case: seen for case, seen in opening.items() if case not in refused} == {}

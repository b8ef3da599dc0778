"""Small zarr stores of AnnData, with several chunks an array."""

import warnings
import zipfile
from pathlib import Path

import anndata
import numpy as np
import scipy.sparse
import zarr
from tests.written import once

ROWS = np.arange(40)


@once
def written(path, version=3, value=1.0):
    """Write a store with several chunks an array."""
    matrix = scipy.sparse.random(40, 30, 0.4, format="csr", dtype=np.float32, random_state=0)
    matrix.data[:] = value
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=version):
        warnings.simplefilter("ignore")
        anndata.AnnData(matrix).write_zarr(path)
    group = zarr.open_group(path, mode="a", zarr_format=version)["X"]
    for name in ("data", "indices"):
        group.create_array(name, data=group[name][:], chunks=(60,), overwrite=True)
    (Path(path) / ".zmetadata").unlink(missing_ok=True)
    return str(path)


def index_of(path, frame="var"):
    """Return the key of the names of a frame, an array: from anndata 0.13 on it lies in a group, beside a mask."""
    index = f"{frame}/_index"
    return f"{index}/values" if (Path(path) / index / "values").exists() else index


def zipped(path, target, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(target, "w", compression) as archive:
        for file in sorted(Path(path).rglob("*")):
            if file.is_file():
                archive.write(file, str(file.relative_to(path)))
    return str(target)

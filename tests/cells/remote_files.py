"""Cells in the bucket of a server, beside the same on disk."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.errors import ScDatasetError
from scdataset.testing.cell_files import cells, dense
from scdataset.testing.object_server import Fault

ROWS = np.array([7, 3, 3, 59, 0, 31, 30, 7])


def upload(server, path, key):
    """Put a file, or the files of a folder, into the bucket."""
    path = Path(path)
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    for file in files:
        name = key if file == path else f"{key}/{file.relative_to(path)}"
        server.objects[name] = file.read_bytes()


def gets(server):
    return [request for request in server.requests if request.method == "GET"]


def opened(server, key, url=None, **options):
    return open_collection((url or server.s3)(key), storage_options=server.options, **options)


def check_same(found, expected):
    """Compare batches, names, and all columns of obs and of var."""
    assert found.shape == expected.shape
    for name, values in expected.read(ROWS).items():
        np.testing.assert_array_equal(dense(found.read(ROWS)[name]), dense(values))
    pd.testing.assert_frame_equal(found.var, expected.var)
    pd.testing.assert_frame_equal(found.obs, expected.obs)


def sharded(path, made, shard=200):
    """Write a store whose X is in shards of many chunks, the values as plain bytes."""
    made.write_zarr(path)
    group = zarr.open_group(path, mode="r+")["X"]
    for name, options in {"data": {"compressors": None}, "indices": {}}.items():
        values = group[name][:]
        group.create_array(name, data=values, chunks=(50,), shards=(shard,), overwrite=True, **options)
    zarr.consolidate_metadata(path)


def plates(server, tmp_path, n_files=3):
    """Write files to disk and bucket, and return those on disk."""
    paths = [tmp_path / f"plate{number}.h5ad" for number in range(n_files)]
    for number, path in enumerate(paths):
        cells(seed=number).write_h5ad(path, compression="gzip" if number % 2 else None)
        upload(server, path, f"plates/{path.name}")
    return [str(path) for path in paths]


def epoch(collection, **options):
    dataset = scDataset(collection, BlockShuffling(4), 16, fetch_factor=2, seed=3, **options)
    return [dense(batch["X"]) for batch in dataset]


def replace(server, key):
    def before():
        server.objects[key] = server.objects[key][::-1]

    return before


FAULTS = {
    "503": lambda server, key: Fault(503),
    "cut": lambda server, key: Fault(cut=10),
    "replaced": lambda server, key: Fault(before=replace(server, key)),
    "gone": lambda server, key: Fault(404),
}


def epochs_with_faults(server, monkeypatch, tmp_path, key, fault, numbers):
    """Read an epoch of what is on disk and in the bucket, with a fault at a request, for each of some requests.

    The rows have to be those on disk, unless an error of this package is raised. Returns the number of requests without
    a fault, and that of errors.
    """
    content = dict(server.objects)
    expected = np.concatenate(epoch(open_collection(tmp_path / key)))
    n_requests, n_failed = 1, 0
    for number in (-1, *numbers):  # the first has no fault, and tells how many there are
        if number >= n_requests:
            break
        server.objects, server.requests = dict(content), []
        server.fault = lambda count, request, at=number: (
            FAULTS[fault](server, request.key) if count == at and request.method != "LIST" else None
        )
        monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / f"cache{number}"))
        try:
            with closing(opened(server, key)) as far:
                np.testing.assert_array_equal(np.concatenate(epoch(far)), expected)
        except ScDatasetError:
            n_failed += 1
        n_requests = len(server.requests) if number < 0 else n_requests
    return n_requests, n_failed

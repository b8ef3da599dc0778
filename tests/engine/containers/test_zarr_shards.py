"""Chunks of zarr that are not there, legally or not, and shards whose index cannot be right."""

import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import zarr
from tests.written import counts

from scdataset import open_collection
from scdataset.errors import DamagedFileError


def written(path, matrix, chunk=7, **options):
    """Write an AnnData whose matrix is in small chunks; return the path."""
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=3):
        warnings.simplefilter("ignore")
        obs = pd.DataFrame(index=[f"c{i}" for i in range(matrix.shape[0])])
        anndata.AnnData(scipy.sparse.csr_matrix((1, 1)), obs[:1]).write_zarr(path)
        group = zarr.open_group(str(path), mode="a", use_consolidated=False)
        anndata.io.write_elem(group, "obs", obs)
        anndata.io.write_elem(group, "var", pd.DataFrame(index=[f"g{i}" for i in range(matrix.shape[1])]))
        anndata.io.write_elem(group, "X", matrix, dataset_kwargs={"chunks": (chunk,)})
        for name in ("data", "indices", "indptr") if options else ():
            values = group[f"X/{name}"][:]
            group["X"].create_array(name, data=values, chunks=(chunk,), overwrite=True, **options)
    return path


def chunk_files(path, name):
    return [file for file in sorted((Path(path) / "X" / name / "c").rglob("*")) if file.is_file()]


def read(path, n):
    return open_collection(path, num_threads=2).read(np.arange(n))["X"]


def one_column(data):
    return scipy.sparse.csr_matrix((data, np.zeros(data.size, "i4"), np.arange(data.size + 1)), shape=(data.size, 1))


EMPTY_FIRST = scipy.sparse.vstack([scipy.sparse.csr_matrix((30, 20), dtype="f4"), counts(30, 20)]).tocsr()
LEGAL = {
    "explicit zeros": (one_column(np.zeros(60, "f4")), "data"),
    "column 0 alone": (one_column(np.ones(60, "f4")), "indices"),
    "empty rows first": (EMPTY_FIRST, "indptr"),
}


@pytest.mark.parametrize("options", [{}, {"shards": (28,)}])
@pytest.mark.parametrize("case", LEGAL)
def test_chunks_that_zarr_leaves_out_are_read(tmp_path, case, options):
    matrix, lacking = LEGAL[case]
    path = written(tmp_path / "m.zarr", matrix, **options)
    if not options:
        assert len(chunk_files(path, lacking)) < -(-getattr(matrix, lacking).size // 7)
    found = read(path, matrix.shape[0])
    assert np.array_equal(found.indptr, matrix.indptr)
    assert np.array_equal(found.indices, matrix.indices)
    assert np.array_equal(found.data, matrix.data)


@pytest.mark.parametrize("options", [{}, {"shards": (28,)}])
@pytest.mark.parametrize("name", ["indices", "indptr"])
def test_a_chunk_that_cannot_have_been_left_out_is_missed(tmp_path, name, options):
    matrix = counts(60, 20)
    path = written(tmp_path / "m.zarr", matrix, **options)
    chunk_files(path, name)[1 if name == "indices" else 0].unlink()
    with pytest.raises(DamagedFileError, match=rf"m\.zarr: .*X/{name}.* (is not there|lacks the chunk)"):
        read(path, 60)


def reindexed(path, change):
    """Change the index of the first shard of X/data, offsets and sizes."""
    file = chunk_files(path, "data")[0]
    stored = file.read_bytes()
    table = np.frombuffer(stored[-4 * 16 :], "<u8").reshape(4, 2).copy()
    change(table)
    file.write_bytes(stored[: -4 * 16] + table.tobytes())


def double(table):
    table[2] = table[1]


def overlap(table):
    table[2, 0] = table[1, 0] + 3


def into_the_index(table):
    table[3, 0] += 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (double, "chunks 1 and 2 in the same bytes"),
        (overlap, "in the same bytes"),
        (into_the_index, "chunk 3 outside bytes 0"),
    ],
)
def test_chunks_of_a_shard_in_the_same_bytes(tmp_path, change, said):
    sharding = zarr.codecs.ShardingCodec(chunk_shape=(7,), index_codecs=[zarr.codecs.BytesCodec()])
    path = written(tmp_path / "m.zarr", counts(60, 20), 28, serializer=sharding, compressors=None, filters=None)
    read(path, 60)
    reindexed(path, change)
    with pytest.raises(DamagedFileError, match=rf"shard \(0, 0\) of X/data has its .*{said}"):
        read(path, 60)

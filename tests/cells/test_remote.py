"""Cells in object stores are those of the same files on disk, and faults of stores never give others."""

import pickle
import shutil
import signal
import zipfile
from contextlib import closing
from pathlib import Path

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
import zarr
from torch.utils.data import DataLoader

pytest.importorskip("obstore")

from tests import children
from tests.cells.formats import test_cell_file as formats
from tests.cells.formats.test_scdl import without_header
from tests.examples import rare

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.engine.bytes import remote, remote_stream, sparse_file
from scdataset.engine.bytes.object_store import using_options
from scdataset.engine.containers import arrow
from scdataset.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CollectionError,
    DamagedFileError,
    LoaderError,
    MissingFileError,
    ScDatasetError,
    UnreachableStoreError,
)
from scdataset.insight.description import describe
from scdataset.testing.cell_files import cells, dense
from scdataset.testing.object_server import Fault, ObjectServer

pytestmark = pytest.mark.filterwarnings(
    "ignore:From 0.4:FutureWarning",
    "ignore:Writing zarr v2",
    "ignore:zarr v3 autosharding",
    "ignore:Consolidated metadata",
)

ROWS = np.array([7, 3, 3, 59, 0, 31, 30, 7])

IN_FILES = ("H5ad", "Tenx", "Loom", "ModalityOfH5mu", "Arrow", "Parquet")

FORMATS = {name: getattr(formats, f"Test{name}")() for name in (*IN_FILES, "Zarr2", "Zarr3")}


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def server():
    with ObjectServer() as server:
        yield server


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


@pytest.mark.parametrize(
    ("name", "over"), [*((name, "s3") for name in FORMATS), *((name, "http") for name in IN_FILES)]
)
def test_cells_in_a_store_are_those_on_disk(server, tmp_path, name, over):
    format_ = FORMATS[name]
    path = format_.write(tmp_path, cells())
    upload(server, path, f"plates/{path.name}")
    given = {**format_.options, "obs": format_.obs, "obsm": format_.obsm}
    url = getattr(server, over)
    with (
        closing(opened(server, f"plates/{path.name}", url, **given)) as far,
        closing(open_collection(path, **given)) as near,
    ):
        check_same(far, near)


def sharded(path, made, shard=200):
    """Write a store whose X is in shards of many chunks, the values as plain bytes."""
    made.write_zarr(path)
    group = zarr.open_group(path, mode="r+")["X"]
    for name, options in {"data": {"compressors": None}, "indices": {}}.items():
        values = group[name][:]
        group.create_array(name, data=values, chunks=(50,), shards=(shard,), overwrite=True, **options)
    zarr.consolidate_metadata(path)


@pytest.mark.parametrize("key", ["a.zarr", "a.zarr/", "no_ending"])
def test_shards_of_a_store_are_those_on_disk(server, tmp_path, key):
    with anndata.settings.override(zarr_write_format=3):
        sharded(tmp_path / "a.zarr", cells())
    upload(server, tmp_path / "a.zarr", key.rstrip("/"))
    given = {"obs": ["type"], "layer": None, "genes": ["gene7", "gene2"]}
    with closing(opened(server, key, **given)) as far, closing(open_collection(tmp_path / "a.zarr", **given)) as near:
        check_same(far, near)


def test_an_epoch_of_a_store_asks_for_many_chunks_at_once(server, tmp_path):
    with anndata.settings.override(zarr_write_format=3):
        sharded(tmp_path / "a.zarr", cells())
    upload(server, tmp_path / "a.zarr", "a.zarr")
    with closing(opened(server, "a.zarr")) as far, closing(open_collection(tmp_path / "a.zarr")) as near:
        np.testing.assert_array_equal(np.concatenate(epoch(far)), np.concatenate(epoch(near)))


@pytest.mark.parametrize("fault", ["503", "cut", "replaced", "gone"])
def test_a_fault_at_any_request_of_a_store_gives_the_right_rows_or_a_typed_error(server, tmp_path, monkeypatch, fault):
    with anndata.settings.override(zarr_write_format=3):
        sharded(tmp_path / "a.zarr", cells())
    upload(server, tmp_path / "a.zarr", "a.zarr")
    content = dict(server.objects)
    expected = np.concatenate(epoch(open_collection(tmp_path / "a.zarr")))
    n_requests, n_failed = 1, 0
    for number in (-1, *range(0, 1_000, 5)):  # the first has no fault; of the others a fifth
        if number >= n_requests:
            break
        server.objects, server.requests = dict(content), []
        server.fault = lambda count, request, at=number: (
            FAULTS[fault](server, request.key) if count == at and request.method != "LIST" else None
        )
        monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / f"cache{number}"))
        try:
            with closing(opened(server, "a.zarr")) as far:
                np.testing.assert_array_equal(np.concatenate(epoch(far)), expected)
        except ScDatasetError:
            n_failed += 1
        n_requests = len(server.requests) if number < 0 else n_requests
    assert n_requests > 20
    assert n_failed or fault != "replaced"  # of others, the object may be asked for again


@pytest.mark.parametrize("name", ["Arrow", "Parquet"])
def test_rows_of_lists_are_fetched_once(server, tmp_path, monkeypatch, name):
    format_ = FORMATS[name]
    path = format_.write(tmp_path, cells())
    upload(server, path, path.name)
    with closing(opened(server, path.name, **format_.options)) as far:
        expected = far.read(ROWS)["X"].toarray()
    shutil.rmtree(tmp_path / "cache/objects")
    monkeypatch.setattr(arrow, "_write_fetched", None)  # the copy serves
    with closing(opened(server, path.name, **format_.options)) as far:
        np.testing.assert_array_equal(far.read(ROWS)["X"].toarray(), expected)


def test_a_damaged_table_is_called_by_its_url(server):
    server.objects["a.parquet"] = b"PAR1" + bytes(1_000)
    with pytest.raises(DamagedFileError, match=r"s3://bucket/a\.parquet cannot be read"):
        opened(server, "a.parquet", gene_table=40)


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_of_a_host_that_lists_nothing_is_read_by_its_consolidated_metadata(server, tmp_path, version):
    with anndata.settings.override(zarr_write_format=version):
        cells().write_zarr(tmp_path / "a.zarr")
    upload(server, tmp_path / "a.zarr", "a.zarr")
    given = {"obs": ["type"], "obsm": ["X_pca"]}
    with (
        closing(opened(server, "a.zarr", server.http, **given)) as far,
        closing(open_collection(tmp_path / "a.zarr", **given)) as near,
    ):
        check_same(far, near)
        np.testing.assert_array_equal(np.concatenate(epoch(far)), np.concatenate(epoch(near)))


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b'{"zarr_format": 3, "node_type": "group"}', CollectionError, "no consolidated metadata"),
        (b"{", DamagedFileError, r"zarr\.json is not zarr metadata"),
        (None, CollectionError, "no consolidated metadata"),
    ],
)
def test_a_store_of_a_host_without_consolidated_metadata_is_refused(server, content, error, words):
    if content is not None:
        server.objects["a.zarr/zarr.json"] = content
    with pytest.raises(error, match=words):
        opened(server, "a.zarr", server.http)


@pytest.mark.parametrize("url", ["s3", "http"])
@pytest.mark.parametrize("deflated", [False, True])
def test_zipped_stores_are_those_on_disk(server, tmp_path, url, deflated):
    with anndata.settings.override(zarr_write_format=3):
        sharded(tmp_path / "a.zarr", cells())
    how = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w", how) as archive:
        for file in sorted((tmp_path / "a.zarr").rglob("*")):
            archive.write(file, file.relative_to(tmp_path / "a.zarr"))
    upload(server, tmp_path / "a.zarr.zip", "a.zarr.zip")
    with (
        closing(opened(server, "a.zarr.zip", getattr(server, url), obs=["type"])) as far,
        closing(open_collection(tmp_path / "a.zarr.zip", obs=["type"])) as near,
    ):
        check_same(far, near)
        np.testing.assert_array_equal(np.concatenate(epoch(far)), np.concatenate(epoch(near)))


@pytest.mark.parametrize(("key", "url"), [("run", "s3"), ("*/matrix.mtx", "s3"), ("run/matrix.mtx", "http")])
def test_matrices_of_text_are_those_on_disk(server, tmp_path, key, url):
    format_ = formats.TestText()
    (tmp_path / "run").mkdir()
    path = format_.write(tmp_path / "run", cells())
    upload(server, path, "run")
    with (
        closing(opened(server, key, getattr(server, url), obs=format_.obs)) as far,
        closing(open_collection(path, obs=format_.obs)) as near,
    ):
        check_same(far, near)
    server.requests.clear()
    with closing(opened(server, key, getattr(server, url))) as again:
        assert again.shape == far.shape
    assert len(gets(server)) < 20


def test_a_matrix_of_text_without_its_tables_is_told(server):
    server.objects["run/matrix.mtx"] = b"%%MatrixMarket matrix coordinate integer general\n2 1 1\n1 1 5\n"
    with pytest.raises(CollectionError, match=r"lies beside none of \['features.tsv.gz'"):
        opened(server, "run")


def test_folders_of_scdl_are_those_on_disk(server, tmp_path):
    (tmp_path / "run").mkdir()
    made = without_header(tmp_path / "run")
    (tmp_path / "run/obs_features").mkdir()
    made.obs.assign(number=range(60)).to_parquet(tmp_path / "run/obs_features/dataframe_0.parquet", index=False)
    upload(server, tmp_path / "run", "runs/run")
    with closing(opened(server, "runs/run")) as far, closing(open_collection(tmp_path / "run")) as near:
        assert far.var_names.tolist() == near.var_names.tolist()
        assert far.obs_frame(["number"])["number"].tolist() == list(range(60))
        rows = np.arange(near.shape[0])[::-1]
        np.testing.assert_array_equal(dense(far.read(rows)["X"]), dense(near.read(rows)["X"]))


def test_a_zipped_store_that_is_damaged_is_told(server):
    server.objects["a.zarr.zip"] = b"PK" + bytes(1_000)
    with pytest.raises(DamagedFileError, match=r"s3://bucket/a\.zarr\.zip cannot be read as a zip file"):
        opened(server, "a.zarr.zip")


def test_a_store_that_is_not_there_is_told(server, tmp_path):
    server.objects["stores/b.zarr/zarr.json"] = b"{}"
    with pytest.raises(MissingFileError, match=r"stores/a\.zarr does not exist. Did you mean 'b.zarr'"):
        opened(server, "stores/a.zarr")


def plates(server, tmp_path, n_files=3):
    """Write files to disk and bucket, and return those on disk."""
    paths = [tmp_path / f"plate{number}.h5ad" for number in range(n_files)]
    for number, path in enumerate(paths):
        cells(seed=number).write_h5ad(path, compression="gzip" if number % 2 else None)
        upload(server, path, f"plates/{path.name}")
    return [str(path) for path in paths]


@pytest.mark.parametrize("key", ["plates/*.h5ad", "plates", "plates/", "*/plate[012].h5ad", "pl*"])
def test_patterns_and_folders_are_listed(server, tmp_path, key):
    paths = plates(server, tmp_path)
    server.objects["plates/.hidden.h5ad"] = b""
    with closing(opened(server, key, obs=["type"])) as far, closing(open_collection(paths, obs=["type"])) as near:
        assert far.files == [server.s3(f"plates/plate{number}.h5ad") for number in range(3)]
        check_same(far, near)


def test_a_list_may_mix_disk_and_store(server, tmp_path):
    paths = plates(server, tmp_path)
    mixed = [paths[0], server.s3("plates/plate1.h5ad"), paths[2]]
    with (
        closing(open_collection(mixed, storage_options=server.options, label="file")) as far,
        closing(open_collection(paths, label="file")) as near,
    ):
        check_same(far, near)


def test_modalities_are_those_on_disk(server, tmp_path):
    parts = {"rna": cells(), "adt": cells(seed=1)}
    parts["adt"].var_names = [f"protein{i}" for i in range(40)]
    mudata.MuData(parts).write(tmp_path / "a.h5mu")
    upload(server, tmp_path / "a.h5mu", "a.h5mu")
    with closing(opened(server, "a.h5mu")) as far, closing(open_collection(tmp_path / "a.h5mu")) as near:
        for name, values in near.read(ROWS).items():
            np.testing.assert_array_equal(dense(far.read(ROWS)[name]), dense(values))


def epoch(collection, **options):
    dataset = scDataset(collection, BlockShuffling(4), 16, fetch_factor=2, seed=3, **options)
    return [dense(batch["X"]) for batch in dataset]


@pytest.mark.parametrize("genes", [None, ["gene3", "gene1"]])
def test_an_epoch_is_that_from_disk(server, tmp_path, genes):
    paths = plates(server, tmp_path)
    with closing(opened(server, "plates", genes=genes)) as far, closing(open_collection(paths, genes=genes)) as near:
        np.testing.assert_array_equal(np.concatenate(epoch(far)), np.concatenate(epoch(near)))


def test_a_run_that_was_stopped_goes_on_as_one_from_disk(server, tmp_path):
    paths = plates(server, tmp_path)
    with closing(opened(server, "plates")) as far, closing(open_collection(paths)) as near:
        expected = epoch(near)
        stopped = scDataset(far, BlockShuffling(4), 16, fetch_factor=2, seed=3)
        found = [dense(batch["X"]) for _, batch in zip(range(5), stopped, strict=False)]
        resumed = scDataset(far, BlockShuffling(4), 16, fetch_factor=2, seed=3)
        resumed.load_state_dict(stopped.state_dict())
        found += [dense(batch["X"]) for batch in resumed]
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))


@pytest.mark.parametrize("key", ["*.h5ad", "a.zarr"])
def test_requests_of_an_epoch_are_as_many_as_were_predicted(server, tmp_path, monkeypatch, key):
    for name, value in {"BLOCK": 1 << 11, "_START": 1, "_MAX_GAP": 0, "_LEAST_REQUEST": 1}.items():
        monkeypatch.setattr(remote, name, value)
    monkeypatch.setattr(sparse_file, "BLOCK", 1 << 11)  # so that a small file takes many requests
    made = anndata.concat([cells(seed) for seed in range(8)], index_unique="-")
    del made.layers["double"], made.obsm["X_pca"]
    for name in ("a.h5ad", "b.h5ad"):
        made.write_h5ad(tmp_path / name)
        upload(server, tmp_path / name, name)
    with anndata.settings.override(zarr_write_format=3):
        sharded(tmp_path / "a.zarr", made, shard=2_000)
    upload(server, tmp_path / "a.zarr", "a.zarr")
    with closing(opened(server, key)) as far:
        dataset = scDataset(far, BlockShuffling(4), 16, fetch_factor=4, seed=3)
        far.read(ROWS[:1])  # what is cached already is not asked for again
        predicted = dataset.explain()
        dataset.stats()
        server.requests.clear()
        n_rows = sum(dense(batch["X"]).shape[0] for batch in dataset)
        stats = dataset.stats()
        asked = [request.stop - request.start for request in gets(server)]
        assert stats.fetches == len(asked) == predicted.fetches_per_window * predicted.windows > 5
        assert stats.bytes_fetched == sum(asked) == pytest.approx(predicted.bytes_fetched_per_row * n_rows)
        assert stats.latency > 0
        assert stats.bandwidth > 0
        assert "requests to a store a window" in str(predicted)
        assert dataset.explain().fetches_per_window == 0


def test_files_of_a_disk_take_no_requests(tmp_path):
    cells().write_h5ad(tmp_path / "a.h5ad")
    with closing(open_collection(tmp_path / "a.h5ad")) as near:
        predicted = scDataset(near, BlockShuffling(4), 8).explain()
    assert predicted.fetches_per_window == predicted.bytes_fetched_per_row == 0
    assert "store" not in str(predicted)


KILLED = """
import os, pickle, signal, sys
import numpy as np
from scdataset import BlockShuffling, open_collection, scDataset

url, endpoint, folder = sys.argv[1:]
options = {"endpoint": endpoint, "region": "us-east-1", "anonymous": True}
dataset = scDataset(open_collection(url, storage_options=options), BlockShuffling(4), 16, fetch_factor=2, seed=3)
for number, batch in enumerate(dataset):
    np.save(f"{folder}/{number}.npy", batch["X"].toarray())
    with open(f"{folder}/state", "wb") as file:
        pickle.dump(dataset.state_dict(), file)
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_was_killed_goes_on_as_one_from_disk(server, tmp_path, monkeypatch):
    paths = plates(server, tmp_path)
    done = children.run(KILLED, server.s3("plates"), server.endpoint, tmp_path)
    assert done.status == -signal.SIGKILL, done.error
    found = [np.load(tmp_path / f"{number}.npy") for number in range(5)]
    monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / "other"))  # as on another machine
    with closing(opened(server, "plates")) as far, closing(open_collection(paths)) as near:
        resumed = scDataset(far, BlockShuffling(4), 16, fetch_factor=2, seed=3)
        resumed.load_state_dict(pickle.loads((tmp_path / "state").read_bytes()))
        found += [dense(batch["X"]) for batch in resumed]
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate(epoch(near)))


def test_files_of_a_store_are_described(server, tmp_path):
    paths = plates(server, tmp_path, 2)
    with using_options(server.options):
        far = describe(server.s3("plates"))
    near = describe(paths)
    assert [file.n_bytes for file in far] == [file.n_bytes for file in near]
    assert [file.cells[0].n_obs for file in far] == [60, 60]
    assert far[0].cells[0].columns == near[0].cells[0].columns


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


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_request_gives_the_right_rows_or_a_typed_error(server, tmp_path, monkeypatch, fault):
    for name, value in {"BLOCK": 1 << 11, "_START": 1, "_MAX_GAP": 0, "_LEAST_REQUEST": 1}.items():
        monkeypatch.setattr(remote, name, value)
    monkeypatch.setattr(remote_stream, "_AHEAD", 1)
    monkeypatch.setattr(sparse_file, "BLOCK", 1 << 11)  # so that a small file takes many requests
    made = anndata.concat([cells(seed) for seed in range(4)], index_unique="-")
    del made.layers["double"], made.obsm["X_pca"]
    made.write_h5ad(tmp_path / "a.h5ad")
    content = (tmp_path / "a.h5ad").read_bytes()
    expected = np.concatenate(epoch(open_collection(tmp_path / "a.h5ad")))
    n_requests, n_failed = 1, 0
    for number in range(-1, 1_000):  # the first has no fault, and tells how many there are
        if number >= n_requests:
            break
        server.objects["a.h5ad"], server.requests = content, []
        staged = FAULTS[fault](server, "a.h5ad")
        server.fault = lambda count, _request, at=number, staged=staged: staged if count == at else None
        monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / f"cache{number}"))
        try:
            with closing(opened(server, "a.h5ad")) as far:
                np.testing.assert_array_equal(np.concatenate(epoch(far)), expected)
        except ScDatasetError:
            n_failed += 1
        n_requests = len(server.requests) if number < 0 else n_requests
    assert n_requests > 5
    assert 0 < n_failed <= n_requests


def test_a_replaced_object_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_CONFIRMED", -1.0)
    plates(server, tmp_path, 2)
    with closing(opened(server, "plates")) as far:
        far.read(ROWS)
        server.objects["plates/plate1.h5ad"] = server.objects["plates/plate0.h5ad"]
        with pytest.raises(DamagedFileError, match=r"plates/plate1\.h5ad was replaced"):
            far.read(ROWS + 60)


def test_an_object_that_is_not_there_is_told_with_names_that_are_near(server, tmp_path):
    plates(server, tmp_path)
    with pytest.raises(MissingFileError, match=r"s3://bucket/plates/plate9\.h5ad does not exist. Did you mean"):
        opened(server, "plates/plate9.h5ad")
    with pytest.raises(MissingFileError, match="does not exist"):
        opened(server, "plates/plate9.h5ad", server.http)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("plates/*.loom", "matches no object"),
        ("nothing/*/x", "matches no object"),
        ("both", r"is a folder with \{'.h5ad': 1, '.loom': 1\}"),
    ],
)
def test_patterns_and_folders_of_nothing_are_refused(server, tmp_path, key, words):
    plates(server, tmp_path, 1)
    server.objects |= {"both/a.h5ad": b"", "both/b.loom": b""}
    with pytest.raises(ArgumentValueError, match=words):
        opened(server, key)


def test_a_host_lists_nothing(server):
    with pytest.raises(ArgumentValueError, match="hosts of HTTP do not list their files"):
        opened(server, "plates/*.h5ad", server.http)


@pytest.mark.parametrize("url", ["ftp://host/a.h5ad", "s3:///a.h5ad"])
def test_a_url_that_nobody_knows_is_refused(url):
    with pytest.raises(ArgumentValueError, match=r"a URL of the scheme 'ftp'|names no bucket"):
        open_collection(url)


def test_options_that_are_none_are_refused(server):
    with pytest.raises(ArgumentTypeError, match="storage_options='x' is of type str"):
        open_collection(server.s3("a.h5ad"), storage_options="x")
    with pytest.raises(ArgumentValueError, match="storage_options="):
        open_collection(server.s3("a.h5ad"), storage_options={"endpoint": object()})


def test_an_object_of_no_known_format_is_refused(server):
    server.objects |= {"a.h5ad": bytes(5_000), "empty.h5ad": b""}
    for key in server.objects:
        with pytest.raises(CollectionError, match=f"s3://bucket/{key} is of no known format"):
            opened(server, key)


def test_a_store_that_does_not_answer_is_told(server, tmp_path):
    plates(server, tmp_path, 1)
    server.fault = lambda _number, _request: Fault(503)
    with pytest.raises(UnreachableStoreError, match="503"):
        opened(server, "plates/plate0.h5ad")
    with pytest.raises(UnreachableStoreError, match="503"):
        opened(server, "plates/*.h5ad")


def test_results_are_not_written_to_a_store(server, tmp_path):
    plates(server, tmp_path, 1)
    with (
        closing(opened(server, "plates/plate0.h5ad")) as far,
        pytest.raises(CollectionError, match="is in an object store"),
    ):
        far.write_obsm("X_new", np.zeros((60, 2)))


def test_the_fingerprint_is_that_of_the_version(server, tmp_path):
    plates(server, tmp_path, 2)
    with closing(opened(server, "plates/plate0.h5ad")) as one, closing(opened(server, "plates/plate0.h5ad")) as same:
        assert one.fingerprint() == same.fingerprint()
        assert f"'s3://bucket/plates/plate0.h5ad', {len(server.objects['plates/plate0.h5ad'])}" in one.fingerprint()


@pytest.mark.parametrize("method", ["fork", *rare("spawn")])
def test_workers_read_the_same_unless_they_are_forked(server, tmp_path, monkeypatch, method):
    monkeypatch.setenv("SCDATASET_OBJECTS_GIB", "0")  # so that nothing is there without a request
    path = plates(server, tmp_path, 1)
    with closing(opened(server, "plates")) as far:
        dataset = scDataset(far, BlockShuffling(4), 16, fetch_factor=2, seed=3)
        loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context=method)
        if method == "fork":
            with pytest.raises(LoaderError, match="num_workers=0"):
                next(iter(loader))
        else:
            found = [dense(batch["X"]) for batch in loader]
            np.testing.assert_array_equal(np.concatenate(found), np.concatenate(epoch(open_collection(path))))

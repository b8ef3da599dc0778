"""Cells in object stores are those of the same files on disk, and faults of stores never give others."""

import shutil
import threading
import time
import zipfile
from contextlib import closing

import anndata
import mudata
import numpy as np
import pytest
import scipy.sparse

pytest.importorskip("obstore")

from tests.cells.formats import test_cell_file as formats
from tests.cells.formats.test_scdl import without_header
from tests.cells.remote_files import (
    ROWS,
    check_same,
    epoch,
    epochs_with_faults,
    gets,
    opened,
    plates,
    sharded,
    upload,
)

from scdataset import open_collection
from scdataset.engine.bytes import remote
from scdataset.engine.bytes.object_store import using_options
from scdataset.engine.bytes.remote import RemoteFile
from scdataset.engine.containers import arrow
from scdataset.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CollectionError,
    DamagedFileError,
    MissingFileError,
    UnreachableStoreError,
)
from scdataset.insight.description import describe
from scdataset.testing.cell_files import cells, dense
from scdataset.testing.object_server import Fault

pytestmark = pytest.mark.filterwarnings(
    "ignore:From 0.4:FutureWarning",
    "ignore:Writing zarr v2",
    "ignore:zarr v3 autosharding",
    "ignore:Consolidated metadata",
)


IN_FILES = ("H5ad", "Tenx", "Loom", "ModalityOfH5mu", "Arrow", "Parquet")

FORMATS = {name: getattr(formats, f"Test{name}")() for name in (*IN_FILES, "Zarr2", "Zarr3")}


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


def test_a_store_without_metadata_is_named(server):
    server.objects["a.zarr/readme.txt"] = b"x"
    with pytest.raises(CollectionError, match=r"No group found in store s3://bucket/a\.zarr"):
        opened(server, "a.zarr")


@pytest.mark.parametrize("over", ["s3", "http", "zip"])
def test_announcing_waits_for_no_index_and_goes_on_once_all_have_come(server, tmp_path, monkeypatch, over):
    made = anndata.AnnData(scipy.sparse.random(400, 300, 0.5, "csr", rng=0))
    with anndata.settings.override(zarr_write_format=3):
        sharded(tmp_path / "a.zarr", made, 30_000)
    path = tmp_path / "a.zarr"
    if over == "zip":
        for name in ("A", "Y"):  # before and after X: both ends of a file come with its opening
            (path / name).write_bytes(bytes(1 << 21))
        with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w") as archive:
            for file in sorted(path.rglob("*")):
                archive.write(file, file.relative_to(path))
        path = tmp_path / "a.zarr.zip"
    upload(server, path, path.name)
    url = server.http if over == "http" else server.s3

    def begun(folder):
        monkeypatch.setenv("SCDATASET_CACHE_DIR", str(tmp_path / folder))
        far = opened(server, path.name, url)
        server.requests.clear()
        return closing(far)

    rows = np.array([0, 1, 399])
    with begun("read") as far:
        far.read(rows)
        n_requests = len(gets(server))
    gate = threading.Event()
    with begun("announced") as far:
        server.fault = lambda _number, _request: Fault(before=gate.wait)
        assert far.announce(rows)
        gate.set()
        while len(gets(server)) < n_requests:
            time.sleep(0.01)
        np.testing.assert_array_equal(dense(far.read(rows)["X"]), made.X[rows].toarray())
        assert len(gets(server)) == n_requests
        assert n_requests >= (1 if over == "zip" else 4)


def test_chunks_of_shards_that_were_never_written_are_not_asked_for(server, tmp_path, monkeypatch):
    made = anndata.AnnData(scipy.sparse.random(400, 300, 0.5, "csr", rng=0))
    made.X.data[1_000:20_000] = 0  # zarr writes no such chunk
    with anndata.settings.override(zarr_write_format=3):
        sharded(tmp_path / "a.zarr", made, 30_000)
    upload(server, tmp_path / "a.zarr", "a.zarr")
    rows, asked, request = np.arange(400), [], RemoteFile.request

    def noted(file, offsets, sizes):
        asked.append(offsets)
        return request(file, offsets, sizes)

    monkeypatch.setattr(RemoteFile, "request", noted)
    with closing(opened(server, "a.zarr")) as far:
        far.announce(rows)
        np.testing.assert_array_equal(dense(far.read(rows)["X"]), made.X.toarray())
    assert min(np.concatenate(asked)) >= 0


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
    every_fifth = range(0, 1_000, 5)
    n_requests, n_failed = epochs_with_faults(server, monkeypatch, tmp_path, "a.zarr", fault, every_fifth)
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


def test_files_of_a_store_are_described(server, tmp_path):
    paths = plates(server, tmp_path, 2)
    with using_options(server.options):
        far = describe(server.s3("plates"))
    near = describe(paths)
    assert [file.n_bytes for file in far] == [file.n_bytes for file in near]
    assert [file.cells[0].n_obs for file in far] == [60, 60]
    assert far[0].cells[0].columns == near[0].cells[0].columns


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
        ("both", r"is a folder with files of several kinds \(1 \.h5ad, 1 \.loom\)"),
    ],
)
def test_patterns_and_folders_of_nothing_are_refused(server, tmp_path, key, words):
    plates(server, tmp_path, 1)
    server.objects |= {"both/a.h5ad": b"", "both/b.loom": b""}
    with pytest.raises(ArgumentValueError, match=words):
        opened(server, key)


def test_a_host_lists_nothing(server):
    with pytest.raises(ArgumentValueError, match="hosts of HTTP list no files"):
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

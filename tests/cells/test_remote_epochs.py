"""Epochs from object stores are those from disk, stopped and killed ones too, and faults never give other rows."""

import pickle
import signal
import threading
import time
from contextlib import closing

import anndata
import numpy as np
import pytest
from torch.utils.data import DataLoader

pytest.importorskip("obstore")

from tests import children
from tests.cells.remote_files import FAULTS, ROWS, epoch, epochs_with_faults, gets, opened, plates, sharded, upload
from tests.examples import rare

from scdataset import BlockShuffling, Streaming, open_collection, scDataset
from scdataset.engine.bytes import connections, remote, remote_stream, sparse_file
from scdataset.errors import LoaderError
from scdataset.testing.cell_files import cells, dense
from scdataset.testing.object_server import Fault


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


@pytest.mark.filterwarnings("ignore:zarr v3 autosharding", "ignore:Consolidated metadata")
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


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_request_gives_the_right_rows_or_a_typed_error(server, tmp_path, monkeypatch, fault):
    for name, value in {"BLOCK": 1 << 11, "_START": 1, "_MAX_GAP": 0, "_LEAST_REQUEST": 1}.items():
        monkeypatch.setattr(remote, name, value)
    monkeypatch.setattr(remote_stream, "_AHEAD", 1)
    monkeypatch.setattr(sparse_file, "BLOCK", 1 << 11)  # so that a small file takes many requests
    made = anndata.concat([cells(seed) for seed in range(4)], index_unique="-")
    del made.layers["double"], made.obsm["X_pca"]
    made.write_h5ad(tmp_path / "a.h5ad")
    upload(server, tmp_path / "a.h5ad", "a.h5ad")
    n_requests, n_failed = epochs_with_faults(server, monkeypatch, tmp_path, "a.h5ad", fault, range(1_000))
    assert n_requests > 5
    assert 0 < n_failed <= n_requests


@pytest.mark.filterwarnings("ignore:zarr v3 autosharding", "ignore:Consolidated metadata")
@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_an_epoch_that_is_left_waits_for_no_request(server, tmp_path, monkeypatch, ending):
    for name, value in {"BLOCK": 1 << 11, "_START": 1, "_MAX_GAP": 0, "_LEAST_REQUEST": 1}.items():
        monkeypatch.setattr(remote, name, value)
    monkeypatch.setattr(sparse_file, "BLOCK", 1 << 11)
    made = anndata.concat([cells(seed) for seed in range(8)], index_unique="-")
    del made.layers["double"], made.obsm["X_pca"]
    for number in range(2):
        path = tmp_path / f"{number}.{ending}"
        with anndata.settings.override(zarr_write_format=3):
            sharded(path, made, 2_000) if ending == "zarr" else made.write_h5ad(path)
        upload(server, path, path.name)
    gate, waited_for, result_of = threading.Event(), [], connections.result_of

    def noted(request):
        waited_for.append(request)
        return result_of(request)

    monkeypatch.setattr(connections, "result_of", noted)
    with closing(opened(server, f"*.{ending}")) as far:
        server.fault = lambda _, request: Fault(before=gate.wait) if request.key.startswith("1.") else None
        batches = iter(scDataset(far, Streaming(), 4, fetch_factor=len(made) // 4))
        next(batches)
        while all(request.done() for request in waited_for):
            time.sleep(0.001)
        del batches
        gate.set()


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

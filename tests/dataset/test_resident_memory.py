"""Over files on disk: memory stays flat over an epoch, batches that are kept keep their values, nothing stays open."""

import contextlib
import gc
import json
import threading
import time
from pathlib import Path

import anndata
import numpy as np
import pytest
import scipy.sparse
from tests.children import output_of
from tests.examples import rare

from scdataset import BlockShuffling, Streaming, open_collection, scDataset
from scdataset.engine import buffers

EPOCH = """
import json, sys
from pathlib import Path
import numpy as np
from scdataset import BlockShuffling, open_collection, scDataset

def resident():  # without the pages of libraries, which the system takes back when it likes
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) * 1024

cells = open_collection(sys.argv[1], num_threads=2)
dataset = scDataset(cells, BlockShuffling(block_size=16), batch_size=64, fetch_factor=32, seed=0)
windows, peak = [], 0
for number, batch in enumerate(dataset):
    peak = max(peak, resident())
    if number % 32 == 31:
        windows.append(peak)
        peak = 0
print(json.dumps(windows))
"""
ROWS, GENES = 64 * 32 * 8, 400
"""Eight windows of 2,048 rows, of 6.5 MB each if dense and as much if half of a CSR row is filled."""


def write(path, kind, rows=ROWS, genes=GENES):
    rng = np.random.default_rng(0)
    values = (np.arange(rows * genes, dtype=np.float32) % 1009 + 1).reshape(rows, genes)
    if kind != "dense":
        values = scipy.sparse.csr_matrix(values * (rng.random((rows, 1)) < 0.9))
    adata = anndata.AnnData(values)
    adata.write_h5ad(path, compression="gzip" if kind == "gzip" else None)
    return adata.X


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell resident memory")
@pytest.mark.parametrize("kind", ["csr", "gzip", *rare("dense")])
def test_memory_is_flat_after_the_second_window(tmp_path, kind):
    write(tmp_path / "a.h5ad", kind)
    windows = json.loads(output_of(EPOCH, tmp_path / "a.h5ad"))
    assert len(windows) == 8
    window = 64 * 32 * GENES * (4 if kind == "dense" else 8)
    # As read, at hand and being read ahead: three windows may come and go, and the file is eight of them.
    assert max(windows[2:]) - windows[1] < 2.5 * window, [round(size / 1e6) for size in windows]


@pytest.mark.parametrize("kind", ["csr", "gzip", "dense"])
def test_batches_kept_for_an_epoch_keep_their_values(tmp_path, kind, monkeypatch):
    """Windows of the smallest size go through recycled memory, which a batch that is held must keep for itself."""
    monkeypatch.setattr(buffers, "_GRAIN", 64)
    stored = write(tmp_path / "a.h5ad", kind, rows=1200, genes=30)
    whole = stored.toarray() if scipy.sparse.issparse(stored) else stored
    row_of = {row.tobytes(): number for number, row in enumerate(whole)}
    dataset = scDataset(open_collection(tmp_path / "a.h5ad"), BlockShuffling(4), batch_size=16, fetch_factor=4, seed=0)
    for _ in range(2):  # the second epoch finds memory that the first gave back
        kept, copies = [], []
        for batch in dataset:
            kept.append(batch["X"])
            copies.append(batch["X"].copy())
        for batch, copy in zip(kept, copies, strict=True):
            now, then = (x.toarray() if scipy.sparse.issparse(x) else x for x in (batch, copy))
            np.testing.assert_array_equal(now, then)
            assert all(row.tobytes() in row_of for row in now)
        assert sum(batch.shape[0] for batch in kept) == 1200


def held():
    """Count threads and open files of tests."""
    gc.collect()
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            targets.append(str(link.readlink()))
    return sum(".h5ad" in target for target in targets), threading.active_count()


def settles_at(expected):
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        files, threads = held()
        if files <= expected[0] and threads <= expected[1]:
            return True
        time.sleep(0.05)
    return False


def fail_on(call):
    calls = iter(range(10**6))

    def hook(batch):
        if next(calls) == call:
            message = "on purpose"
            raise KeyError(message)
        return batch

    return hook


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not list descriptors")
@pytest.mark.parametrize("kind", ["gzip", *rare("csr", "dense")])
def test_ending_early_leaves_no_thread_and_no_file_open(tmp_path, kind):
    write(tmp_path / "a.h5ad", kind, rows=400, genes=30)
    before = held()
    for call in (1, 3, 9):
        with open_collection(tmp_path / "a.h5ad", num_threads=2) as cells:
            for _ in scDataset(cells, Streaming(), batch_size=8, fetch_factor=2, seed=0):
                break
        with (
            open_collection(tmp_path / "a.h5ad", num_threads=2) as cells,
            pytest.raises(KeyError, match="on purpose"),
        ):
            list(scDataset(cells, Streaming(), 8, fetch_factor=2, seed=0, batch_transform=fail_on(call)))
        del cells
    assert settles_at(before)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not list descriptors")
def test_opening_and_reading_many_times_leaves_nothing_open(tmp_path):
    write(tmp_path / "a.h5ad", "gzip", rows=40, genes=10)
    before = held()
    for number in range(60):
        with open_collection(tmp_path / "a.h5ad", num_threads=2) as cells:
            if number % 15 == 0:
                cells.read(np.arange(40))
    assert settles_at(before)

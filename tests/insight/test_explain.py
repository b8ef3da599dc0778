"""An explanation says before an epoch what the epoch then does: batches, chunks, bytes, and how random batches are."""

import json
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from torch.utils.data import DataLoader

import scdataset as sd
from scdataset.engine.observer import Observer, observing

N_ROWS, N_GENES = 600, 50
LABELS = np.arange(N_ROWS) // 100


def cells(n_rows=N_ROWS):
    X = scipy.sparse.random(n_rows, N_GENES, 0.3, format="csr", dtype=np.float32, random_state=0)  # noqa: N806
    obs = pd.DataFrame(
        {"kind": pd.Categorical((np.arange(n_rows) // 100).astype(str))}, index=np.arange(n_rows).astype(str)
    )
    return anndata.AnnData(X, obs=obs)


def written(folder, kind):
    """Write cells in a format, and open them."""
    path = folder / f"{kind}.{'zarr' if 'zarr' in kind else 'h5ad'}"
    adata = cells()
    if kind == "dense gzip":
        adata.X = adata.X.toarray()
    if kind == "zarr":
        with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=3):
            warnings.simplefilter("ignore")  # of anndata about itself
            adata.write_zarr(path)
    else:
        adata.write_h5ad(path, compression="gzip" if "gzip" in kind else None)
    return sd.open_collection(path, obs=["kind"], num_threads=1)


def epoch_reads(dataset):
    """Return the counts of all reads of an epoch."""
    with observing(Observer()) as observer:
        for _ in dataset:
            pass
    return observer.reads()


@pytest.mark.parametrize("kind", ["plain", "gzip", "dense gzip", "zarr"])
@pytest.mark.parametrize(
    ("strategy", "batch_size", "fetch_factor"),
    [
        (sd.BlockShuffling(1), 16, 4),
        (sd.BlockShuffling(64), 50, 2),
        (sd.Streaming(), 7, 3),
        (sd.BlockWeightedSampling(4), 32, 1),
    ],
)
def test_the_chunks_and_bytes_of_an_epoch_are_those_that_are_read(tmp_path, kind, strategy, batch_size, fetch_factor):
    dataset = sd.scDataset(written(tmp_path, kind), strategy, batch_size, fetch_factor, seed=3, prefetch=0)
    found = dataset.explain()
    made = epoch_reads(dataset)
    assert found.windows_examined == found.windows == made.reads
    assert found.chunks_per_window * found.windows == made.chunks
    assert found.requests_per_window * found.windows == made.requests
    assert found.bytes_read_per_row * found.rows == pytest.approx(made.bytes)


def test_the_counts_are_those_of_ranks_and_of_workers():
    for rank in range(3):
        dataset = sd.scDataset(np.arange(1000), sd.BlockShuffling(4), 16, 4, rank=rank, world_size=3, seed=0)
        found = dataset.explain(num_workers=2)
        assert found.batches == 63
        assert found.windows == 16
        assert found.batches_of_rank == len(dataset) == sum(found.batches_of_workers)
    alone = sd.scDataset(np.arange(1000), sd.BlockShuffling(4), 16, 4, seed=0)
    loader = DataLoader(alone, batch_size=None, num_workers=2)
    assert sum(alone.explain(num_workers=2).batches_of_workers) == sum(1 for _ in loader)


def test_explaining_does_not_change_the_epoch_and_goes_with_it():
    dataset = sd.scDataset(np.arange(200), sd.BlockShuffling(4), 16, 4, seed=0)
    again = sd.scDataset(np.arange(200), sd.BlockShuffling(4), 16, 4, seed=0)
    assert dataset.explain() == dataset.explain()
    assert all((a == b).all() for a, b in zip(dataset, again, strict=True))
    dataset.batch_size = 20
    assert dataset.explain().batches == len(dataset) == 10


@pytest.mark.parametrize(
    ("strategy", "method"),
    [
        (sd.BlockShuffling(4), "closed form"),
        (sd.BlockShuffling(4, indices=np.arange(0, 6400, 2)), "closed form"),
        (sd.Streaming(), "simulation"),
        (sd.Streaming(shuffle=True), "simulation"),
        (sd.BlockWeightedSampling(4, weights=np.arange(6400.0) + 1), "simulation"),
        (sd.ClassBalancedSampling(np.repeat([0, 1, 2, 3], [5800, 300, 200, 100]), 4), "simulation"),
    ],
)
def test_the_entropy_is_that_of_batches_under_any_strategy(strategy, method):
    labels = np.repeat([0, 1, 2, 3], [5800, 300, 200, 100])
    dataset = sd.scDataset(np.arange(6400), strategy, 16, 8, seed=1, drop_last=True)
    found = dataset.explain(labels)
    entropies = []
    for _ in range(8):
        for batch in dataset:
            shares = np.bincount(labels[batch]) / 16
            entropies.append(-np.sum(shares * np.log2(np.where(shares, shares, 1))))
    assert found.diversity.method == method
    assert found.diversity.entropy == pytest.approx(np.mean(entropies), abs=0.02)
    assert 0 <= found.diversity.share <= 1


def test_sets_of_a_group_are_simulated():
    dataset = sd.scDataset(np.arange(N_ROWS), sd.GroupedSampling(LABELS, set_size=8), 16, 4, seed=0)
    found = dataset.explain(LABELS)
    assert found.diversity.method == "simulation"
    assert 0 < found.diversity.entropy <= 1  # two sets a batch


def test_a_strategy_of_ones_own_is_explained():
    class Mine(sd.SamplingStrategy):
        def get_indices(self, data_collection, seed=None, rng=None):
            return self._get_rng(seed, rng).permutation(len(data_collection))

    class Other(sd.BlockShuffling):
        def get_indices(self, data_collection, seed=None, rng=None):
            return np.arange(0, 300)

    assert sd.scDataset(np.arange(N_ROWS), Mine(), 16, seed=0).explain(LABELS).diversity.share > 0.95
    assert sd.scDataset(np.arange(N_ROWS), Other(4), 16, seed=0).explain(LABELS).rows == 300


def test_labels_are_a_column_an_array_or_the_files(tmp_path):
    for name in ("a", "b"):
        cells().write_h5ad(tmp_path / f"{name}.h5ad")
    two = sd.open_collection([tmp_path / "a.h5ad", tmp_path / "b.h5ad"])
    dataset = sd.scDataset(two, sd.BlockShuffling(4), 16, 4, seed=0)
    by_file = dataset.explain()
    assert (by_file.labels, by_file.diversity.n_classes) == ("files", 2)
    assert (dataset.explain("kind").labels, dataset.explain("kind").diversity.n_classes) == ("kind", 6)
    one = sd.scDataset(sd.open_collection(tmp_path / "a.h5ad"), sd.BlockShuffling(4), 16, 4, seed=0)
    assert one.explain().diversity is None
    assert one.explain(LABELS).labels == "labels"
    backed = [anndata.read_h5ad(tmp_path / f"{name}.h5ad", backed="r") for name in "ab"]
    assert sd.scDataset(backed, sd.BlockShuffling(4), 16, 4, seed=0).explain().labels == "files"
    memory = sd.scDataset(cells(), sd.BlockShuffling(4), 16, 4, seed=0)
    assert memory.explain("kind").diversity.n_classes == 6


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ("knd", sd.ArgumentValueError, "knd.*kind"),
        (np.arange(5), sd.ArgumentValueError, "5 entries and the collection 600 rows"),
        (np.zeros((600, 2)), sd.ArgumentValueError, "shape"),
    ],
)
def test_labels_that_are_not_there_are_refused(tmp_path, labels, error, message):
    for collection in (written(tmp_path, "plain"), cells()):
        with pytest.raises(error, match=message):
            sd.scDataset(collection, sd.BlockShuffling(4), 16, seed=0).explain(labels)


def test_a_column_of_a_collection_without_obs_is_refused():
    dataset = sd.scDataset(np.arange(100), sd.BlockShuffling(4), 16, seed=0)
    with pytest.raises(sd.ArgumentTypeError, match="'kind' names a column of obs, which a ndarray does not have"):
        dataset.explain("kind")
    with pytest.raises(sd.ArgumentTypeError, match="num_workers"):
        dataset.explain(num_workers="two")


COLLECTIONS = {
    "array": lambda: np.zeros((100, 5)),
    "list": lambda: list(range(100)),
    "CSR": lambda: scipy.sparse.csr_matrix(np.ones((100, 5))),
    "frame": lambda: pd.DataFrame({"x": np.zeros(100)}),
    "AnnData": lambda: cells(100),
    "no rows": lambda: np.zeros((0, 5)),
}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_any_collection_is_explained_and_unknown_fields_are_none_and_said_so(name):
    dataset = sd.scDataset(COLLECTIONS[name](), sd.Streaming(), 16, seed=0, batch_transform=lambda batch: batch)
    found = dataset.explain()
    assert found.batches == len(dataset)
    assert found.read_amplification is None
    assert found.notes
    assert "unknown" in str(found)
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_fetch_callback_reads_in_its_own_way():
    dataset = sd.scDataset(np.zeros((100, 5)), sd.Streaming(), 16, seed=0, fetch_callback=lambda data, rows: data[rows])
    found = dataset.explain()
    assert found.row_bytes is found.peak_bytes is None
    assert any("fetch_callback" in note for note in found.notes)


def test_it_is_a_table_in_a_terminal_and_in_a_notebook(tmp_path):
    dataset = sd.scDataset(written(tmp_path, "gzip"), sd.BlockShuffling(4), 16, 4, seed=0)
    found = dataset.explain("kind")
    for text in (str(found), found._repr_html_()):
        for word in ("batches", "peak memory", "read amplification", "entropy of kind", "bits a batch"):
            assert word in text
    assert found._repr_html_().startswith("<table>")
    assert "BlockShuffling" in dataset._repr_html_()
    with pytest.raises(AttributeError):
        found.rows = 3


@pytest.mark.parametrize(
    ("drop_last", "rows", "note"),
    [(False, 100, "Ranks end equal: 1 batch repeated."), (True, 96, "Ranks end equal: 2 batches dropped.")],
)
def test_rows_are_those_that_come_and_ranks_are_told_apart(drop_last, rows, note):
    n_ranks = 2 if not drop_last else 5
    dataset = sd.scDataset(
        np.zeros((100, 2)), sd.BlockShuffling(4), 8, 2, drop_last, rank=0, world_size=n_ranks, seed=0
    )
    explanation = dataset.explain()
    assert explanation.rows == rows
    assert note in explanation.notes

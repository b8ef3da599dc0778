"""read_cells on a cluster."""

import os
import signal

import numpy as np
import pyarrow as pa
import pytest
import ray

from scdataset import open_collection
from scdataset.integrations.ray import read_cells, to_csr

pytestmark = pytest.mark.usefixtures("cluster")


def as_table(dataset):
    return pa.concat_tables(ray.get(ref) for ref in dataset.to_arrow_refs())


def test_each_row_comes_once_and_in_order_when_asked(three_files):
    read = as_table(read_cells(three_files, obs=["kind"], ordered=True, override_num_blocks=6))
    cells = open_collection(three_files, obs=["kind"])
    assert read["row"].to_pylist() == list(range(120))
    assert (to_csr(read) != cells[:]["X"]).nnz == 0
    assert read["kind"].to_pylist() == cells.obs["kind"].astype(object).where(cells.obs["kind"].notna(), None).tolist()


def test_statistics_are_made_out_of_core(three_files):
    def moments(batch):
        counts = to_csr(batch)
        return {"sum": [counts.sum(axis=0).A1], "square": [counts.multiply(counts).sum(axis=0).A1]}

    parts = read_cells(three_files, override_num_blocks=5).map_batches(moments, batch_format="pyarrow").take_all()
    whole = open_collection(three_files)[:]["X"]
    np.testing.assert_array_equal(sum(part["sum"] for part in parts), whole.sum(axis=0).A1)
    np.testing.assert_array_equal(sum(part["square"] for part in parts), whole.multiply(whole).sum(axis=0).A1)


class Embed:
    """A linear model; the first actor that gets the cells of the second file is killed there."""

    def __init__(self, folder):
        self.weights = np.random.default_rng(0).normal(size=(12, 4))
        self.folder = folder

    def __call__(self, batch):
        if 60 in batch["row"].to_numpy() and not (self.folder / "died").exists():
            (self.folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"row": batch["row"].to_numpy(), "X_emb": to_csr(batch) @ self.weights}


@pytest.mark.slow
def test_an_embedding_that_lost_an_actor_is_complete_and_equal(three_files, tmp_path):
    cells = read_cells(three_files, override_num_blocks=12, num_cpus=0.5)
    embedded = cells.map_batches(
        Embed,
        fn_constructor_args=(tmp_path,),
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=0.5,
    )
    found = embedded.to_pandas().sort_values("row")
    assert (tmp_path / "died").exists()
    assert found["row"].tolist() == list(range(120))
    expected = open_collection(three_files)[:]["X"] @ np.random.default_rng(0).normal(size=(12, 4))
    np.testing.assert_array_equal(np.stack(found["X_emb"].to_numpy()), expected)


@pytest.mark.slow
def test_columns_that_are_selected_are_counted_without_reading_others(three_files):
    counts = read_cells(three_files, obs=["kind"]).select_columns(["kind"]).groupby("kind").count().to_pandas()
    kinds = open_collection(three_files, obs=["kind"]).obs["kind"].value_counts()
    found = dict(zip(counts["kind"], counts["count()"], strict=True))
    assert {kind: found[kind] for kind in kinds.index} == kinds.to_dict()


@pytest.mark.slow
def test_cells_written_as_parquet_are_read_again(three_files, tmp_path):
    read_cells(three_files, obs=["kind"], ordered=True).write_parquet(str(tmp_path / "out"))
    again = open_collection(sorted((tmp_path / "out").glob("*.parquet")), gene_table=12, obs=["row"])
    order = np.argsort(again.obs["row"].to_numpy())
    assert (again[order]["X"] != open_collection(three_files)[:]["X"]).nnz == 0

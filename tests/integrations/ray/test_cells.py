"""Cells as a source of Ray Data: its tasks, run here."""

import numpy as np
import pyarrow as pa
import pytest
import ray

from scdataset import ArgumentTypeError, MissingFileError, open_collection
from scdataset.integrations.ray import to_csr
from scdataset.integrations.ray.cells import CellSource, _number_of_tasks


def run(tasks):
    return pa.concat_tables([block for task in tasks for block in ray.cloudpickle.loads(ray.cloudpickle.dumps(task))()])


@pytest.mark.parametrize("parallelism", [1, 7])
def test_tasks_have_each_row_once_and_in_order(three_files, parallelism):
    tasks = CellSource(three_files, obs=["kind"]).get_read_tasks(parallelism)
    assert len(tasks) == parallelism
    assert sum(task.metadata.num_rows for task in tasks) == 120
    read, cells = run(tasks), open_collection(three_files)
    assert read["row"].to_pylist() == list(range(120))
    assert (to_csr(read) != cells[:]["X"]).nnz == 0


def test_blocks_have_the_schema_that_tasks_say(three_files):
    task = CellSource(three_files, obs=["kind"], obsm=["X_pca"]).get_read_tasks(2)[0]
    assert all(block.schema.equals(task.schema) for block in task())


def test_cells_are_chosen_before_anything_is_read(three_files):
    source = CellSource(three_files, obs=["kind"], filter=lambda obs: obs["kind"] == "b", genes=["gene7", "gene2"])
    read = run(source.get_read_tasks(4))
    cells = open_collection(three_files, obs=["kind"], genes=["gene7", "gene2"])
    rows = np.flatnonzero(cells.obs["kind"] == "b")
    assert read["row"].to_pylist() == rows.tolist()
    assert (to_csr(read) != cells[rows]["X"]).nnz == 0


def test_sizes_are_estimated_by_row_pointers(three_files):
    source = CellSource(three_files)
    n_bytes = run(source.get_read_tasks(3)).nbytes
    assert abs(source.estimate_inmemory_data_size() - n_bytes) < 0.2 * n_bytes
    assert sum(task.metadata.size_bytes for task in source.get_read_tasks(3)) == pytest.approx(
        source.estimate_inmemory_data_size(), abs=3
    )


def test_a_task_makes_blocks_of_the_size_that_is_aimed_at(three_files, monkeypatch):
    source = CellSource(three_files)
    context = ray.data.DataContext.get_current().copy()
    target = context.target_max_block_size = source.estimate_inmemory_data_size() // 6
    blocks = list(source.get_read_tasks(1, data_context=context)[0]())
    assert len(blocks) > 4
    assert all(target < block.nbytes < 1.5 * target for block in blocks[:-1])  # Ray passes those on as they are
    limited = list(source.get_read_tasks(1, per_task_row_limit=7)[0]())
    assert sum(block.num_rows for block in limited) == 7


def test_columns_that_are_not_selected_are_left_out(three_files):
    source = CellSource(three_files, obs=["kind"])
    assert source.supports_projection_pushdown()
    [task] = source.apply_projection({"kind": "kind", "row": "row"}).get_read_tasks(1)
    assert task.schema.names == run([task]).column_names == ["row", "kind"]


def test_no_cells_are_no_error(three_files):
    source = CellSource(three_files, filter=lambda obs: obs["number"] < 0)
    assert run(source.get_read_tasks(4)).num_rows == 0
    assert source.estimate_inmemory_data_size() == 0


def test_a_task_names_a_file_that_its_machine_lacks(three_files, tmp_path, monkeypatch):
    tasks = CellSource(three_files[0]).get_read_tasks(1)
    three_files[0].rename(tmp_path / "moved")
    try:
        monkeypatch.setattr("socket.gethostname", lambda: "worker-7")
        with pytest.raises(MissingFileError, match=r"On node worker-7.*: .*a.h5ad"):
            run(tasks)
    finally:
        (tmp_path / "moved").rename(three_files[0])


def test_a_collection_is_taken_and_options_with_it_refused(three_files):
    cells = open_collection(three_files, obs=["kind"])
    assert run(CellSource(cells).get_read_tasks(2)).column_names == ["row", "kind", "genes", "expressions"]
    with pytest.raises(ArgumentTypeError, match=r"got a collection and \['obs'\], which are options for opening one"):
        CellSource(cells, obs=["kind"])


@pytest.mark.parametrize(("n_bytes", "expected"), [(0, 1), (1 << 20, 1), (3 << 20, 3), (1 << 30, 32)])
def test_tasks_are_neither_small_nor_fewer_than_cpus(monkeypatch, n_bytes, expected):
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    assert _number_of_tasks(n_bytes) == expected

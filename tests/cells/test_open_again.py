"""Collections opened again by the call that opened them first."""

import pickle

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scdataset import CollectionError, open_collection
from scdataset.cells import open_again


@pytest.fixture
def paths(tmp_path):
    made = []
    for number, n_obs in enumerate((5, 8, 3)):
        counts = np.random.default_rng(number).poisson(1.0, (n_obs, 6 + number)).astype("f4")
        obs = pd.DataFrame({"kind": list("abc" * 3)[:n_obs]}, index=[f"cell{i}" for i in range(n_obs)])
        var = pd.DataFrame(index=[f"gene{i}" for i in range(6 + number)])
        made.append(tmp_path / f"{number}.h5ad")
        anndata.AnnData(sp.csr_matrix(counts), obs, var).write_h5ad(made[-1])
    return made


def sent(cells):
    return pickle.loads(pickle.dumps(cells.opening))


@pytest.mark.parametrize(
    "source",
    [
        lambda paths: paths[::-1],
        iter,
        lambda paths: str(paths[0].parent / "*.h5ad"),
        lambda paths: {"y": paths[1:], "x": paths[0]},
    ],
)
def test_cells_opened_again_are_the_same(paths, source):
    options = {"join": "outer", "obs": iter(["kind"]), "genes": iter(["gene7", "gene2"]), "label": "file"}
    cells = open_collection(source(paths), index_unique="-", **options)
    again = open_again(sent(cells))
    assert again.files == cells.files
    pd.testing.assert_frame_equal(again.obs, cells.obs)
    assert (again[:]["X"] != cells[:]["X"]).nnz == 0


def test_a_process_opens_a_call_once_and_another_call_anew(paths):
    opening = sent(open_collection(paths[0]))
    assert open_again(opening) is open_again(pickle.loads(pickle.dumps(opening)))
    assert open_again(sent(open_collection(paths[0]))) is not open_again(opening)


def test_files_added_since_are_not_taken(paths):
    opening = sent(open_collection(paths[0].parent, join="inner"))
    paths[0].rename(paths[0].parent / "more.h5ad.part")
    (paths[0].parent / "more.h5ad.part").rename(paths[0])
    paths[1].with_name("9.h5ad").write_bytes(paths[1].read_bytes())
    assert len(open_again(opening)) == 16


def test_a_file_with_other_cells_is_refused(paths):
    opening = sent(open_collection(paths[:1]))
    paths[0].write_bytes(paths[1].read_bytes())
    with pytest.raises(CollectionError, match=r"0.h5ad has 8 cells, and 5 where it was opened first"):
        open_again(opening)


def test_a_collection_can_be_pickled_whatever_it_was_opened_with(paths):
    cells = pickle.loads(pickle.dumps(open_collection(paths[0], gene_key=lambda var: var.index)))
    assert len(cells) == 5
    assert cells.opening is None

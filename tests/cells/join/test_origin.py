"""The file that a cell comes from: as a column, and in the names of cells."""

import os
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from scdataset import ClassBalancedSampling, open_collection, scDataset
from scdataset.cells import open_many
from scdataset.cells.join.origin import default_keys
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError

LAST_YEAR = 1_700_000_000 * 10**9
"""Files this old have settled, so that their list may be cached."""


def adata(number):
    rng = np.random.default_rng(number)
    obs = pd.DataFrame(
        {"type": pd.Categorical(rng.choice(["b", "a", "c"], 7)), "depth": rng.random(7)}, [f"cell{i}" for i in range(7)]
    )
    counts = scipy.sparse.random(7, 12, 0.4, "csr", np.float32, rng=rng)
    return anndata.AnnData(counts, obs, pd.DataFrame(index=[f"g{i}" for i in range(12)]))


@pytest.fixture
def paths(tmp_path):
    paths = [str(tmp_path / f"donor{n}.h5ad") for n in range(3)]
    for number, path in enumerate(paths):
        adata(number).write_h5ad(path)
        os.utime(path, ns=(LAST_YEAR, LAST_YEAR))
    return paths


def expected_of(paths, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that repeat
        return anndata.concat([anndata.read_h5ad(path) for path in paths], **options)


def test_the_file_of_origin_is_a_column_of_batches_frames_and_conditions(paths):
    keys = ["donor0", "donor1", "donor2"]
    expected = expected_of(paths, label="sample", keys=keys).obs["sample"]
    cells = open_collection(paths, label="sample", obs=["type", "sample"])
    assert cells.categories["sample"].tolist() == keys
    assert np.array_equal(cells[:]["sample"], expected.cat.codes)
    assert cells.obs_keys() == ["type", "depth", "sample"]
    assert cells.obs_frame(["sample"])["sample"].tolist() == cells.obs["sample"].tolist() == expected.tolist()
    assert cells.where(lambda obs: obs["sample"] == "donor1").tolist() == list(range(7, 14))
    assert cells.to_adata([20, 1]).obs["sample"].tolist() == ["donor2", "donor0"]
    strategy = ClassBalancedSampling(cells.obs["sample"], total_size=210)
    drawn = np.concatenate([batch["sample"] for batch in scDataset(cells, strategy, batch_size=30, seed=0)])
    assert set(drawn.tolist()) == {0, 1, 2}


def test_keys_are_given_as_a_list_or_a_mapping(paths):
    listed = open_collection(paths, label="donor", keys=["A", "B", "C"])
    mapped = open_collection(dict(zip("ABC", paths, strict=True)), label="donor")
    assert mapped.files == paths
    for cells in (listed, mapped):
        assert cells.obs["donor"].tolist() == list("AAAAAAABBBBBBBCCCCCCC")
    assert open_collection({"A": paths[0]}).obs_keys() == ["type", "depth"]
    assert open_collection({"old": paths[:1], "new": paths[1:]}, label="donor").obs["donor"].tolist()[6:8] == [
        "old",
        "new",
    ]


def test_names_are_made_unique_as_concat_makes_them(paths):
    expected = expected_of(paths, index_unique="-", keys=["donor0", "donor1", "donor2"]).obs_names
    cells = open_collection(paths, index_unique="-", unique_names=True)
    assert list(cells.obs_names) == list(cells.obs.index) == list(cells.obs_frame(["type"]).index) == list(expected)
    assert list(cells.to_adata([8]).obs_names) == ["cell1-donor1"]
    assert cells.where(pd.Series(np.arange(21) < 2, index=expected).iloc[::-1]).tolist() == [0, 1]
    with pytest.raises(CollectionError, match=r"7 names more than once.*index_unique='-'"):
        open_collection(paths, unique_names=True)


def test_a_kept_list_of_files_has_the_same_origins(paths, monkeypatch):
    monkeypatch.setattr(open_many, "_SLOW", 0)
    first = open_collection(paths, label="sample", index_unique="_", unique_names=True)
    monkeypatch.setattr(open_many, "_open", lambda *_, **__: pytest.fail("opened again"))
    again = open_collection(paths, label="sample", index_unique="_", unique_names=True)
    assert again.obs.equals(first.obs)
    assert again.obs_names[-1] == "cell6_donor2"


def test_all_formats_have_origins(tmp_path, real_data):
    sources = {"h5": real_data("tenx/scanpy_v3_GRCh38chr21.h5"), "text": real_data("mtx/scanpy_v3_GRCh38_chr21")}
    cells = open_collection(sources, label="kind", index_unique="-")
    assert cells.obs["kind"].value_counts().to_dict() == dict.fromkeys(sources, len(cells) // 2)
    assert cells.obs_names.is_unique
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what anndata says of its next version
        adata(0).write_zarr(tmp_path / "a.zarr")
    assert open_collection(tmp_path / "a.zarr", label="kind")[:2]["kind"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("paths", "keys"),
    [
        (["d/a.h5ad", "d/b.zarr.zip", "e/c.x.h5"], ["a", "b", "c.x"]),
        (["d/a/outs/filtered.h5", "d/b/outs/filtered.h5"], ["a", "b"]),
        (["d/1/x/matrix.mtx.gz", "d/2/y/matrix.mtx.gz"], ["1/x", "2/y"]),
        (["d/x.h5ad", "d/e/x.h5ad"], ["d/x", "d/e/x"]),
        (["d/x.h5ad", "d/x.zarr"], ["d/x.h5ad", "d/x.zarr"]),
        (["d/a.h5ad"], ["a"]),
        (["s3://b/d/a.h5ad", "s3://c/d/a.h5ad"], ["b", "c"]),
        (["s3://b/x/", "s3://b/y.zarr/"], ["x", "y"]),
        (["/d/a.h5ad", "s3://b/d/a.h5ad"], ["/d/a", "s3://b/d/a"]),
    ],
)
def test_keys_are_names_of_files_or_what_differs_in_their_paths(paths, keys):
    assert default_keys(paths) == keys


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"label": "type"}, ArgumentValueError, "label='type' is a column of obs in .*donor0"),
        ({"label": 3}, ArgumentTypeError, "label=3"),
        ({"index_unique": True}, ArgumentTypeError, "index_unique=True"),
        ({"label": "s", "keys": ["A", "B"]}, ArgumentValueError, "for 3 files"),
        ({"label": "s", "keys": ["A", "B", "B"]}, ArgumentValueError, "different strings"),
        ({"label": "s", "keys": "ABC"}, ArgumentValueError, "a list of different strings"),
        ({"keys": ["A", "B", "C"]}, ArgumentValueError, "nothing uses them"),
        ({"label": "X"}, ArgumentValueError, "X is the name of the matrix"),
    ],
)
def test_bad_options_are_refused(paths, options, error, said):
    with pytest.raises(error, match=said):
        open_collection(paths, **options)


def test_a_file_that_is_there_twice_needs_keys(paths):
    with pytest.raises(ArgumentValueError, match="more than once; give keys"):
        open_collection([paths[0], paths[0]], label="sample")

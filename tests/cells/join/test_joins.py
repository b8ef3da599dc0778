"""Files with different genes as one collection: what anndata's own concatenation holds."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionError

ROWS = np.random.default_rng(0)


def cells(names, n_obs, dtype="f4", kind="csr", seed=0, **obs):
    rng = np.random.default_rng(seed)
    X = (rng.integers(0, 9, (n_obs, len(names))) * (rng.random((n_obs, len(names))) < 0.4)).astype(dtype)  # noqa: N806
    frame = pd.DataFrame(obs, index=[f"cell {seed} {i}" for i in range(n_obs)])
    var = pd.DataFrame({"id": [f"ENS{name}" for name in names]}, index=list(names))
    return anndata.AnnData(scipy.sparse.csr_matrix(X) if kind == "csr" else X, obs=frame, var=var)


def written(folder, parts):
    paths = []
    for number, part in enumerate(parts):
        paths.append(folder / f"{number}.h5ad")
        part.write_h5ad(paths[-1])
    return paths


def dense(X):  # noqa: N803
    return X.toarray() if scipy.sparse.issparse(X) else X


def check(collection, whole):
    """Compare with an AnnData that anndata joined, whatever way it stores it."""
    assert collection.shape == whole.shape
    assert collection.var_names.tolist() == whole.var_names.tolist()
    assert collection.var.index.tolist() == whole.var_names.tolist()
    for rows in (np.arange(len(collection)), ROWS.integers(0, len(collection), 50), np.arange(0)):
        found, expected = collection.read(rows)["X"], whole.X[rows]
        if scipy.sparse.issparse(found) and scipy.sparse.issparse(expected):
            assert (found != expected).nnz == 0
        else:
            np.testing.assert_array_equal(dense(found), dense(expected))


@pytest.mark.parametrize("kind", ["csr", "dense"])
@pytest.mark.parametrize("join", ["inner", "outer"])
def test_joins_hold_what_anndata_concatenates(join, kind, tmp_path):
    parts = [cells("ABCDE", 13, "f4", kind, 1), cells("CAXB", 7, "i2", kind, 2), cells("YBAC", 9, "f8", kind, 3)]
    whole = anndata.concat(parts, join=join, fill_value=0)
    collection = open_collection(written(tmp_path, parts), join=join)
    check(collection, whole)
    assert collection.read(np.arange(3))["X"].dtype == np.float64
    present = collection.gene_presence
    assert present.to_numpy().tolist() == [[name in part.var_names for part in parts] for name in whole.var_names]
    assert collection.var["n_files"].tolist() == present.sum(axis=1).tolist()
    assert collection.var["id"].tolist() == [f"ENS{name}" for name in whole.var_names]


@pytest.mark.filterwarnings(
    "ignore::anndata.OldFormatWarning",
    "ignore:Transforming to str index",
    "ignore:Observation names are not unique",
    "ignore:.* genes? differs? between files only in",
)
@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize(
    ("names", "key"),
    [
        (["cells/heart_human.h5ad", "cells/heart_chicken.h5ad", "cells/merfish_mouse.h5ad"], "ensembl_id"),
        (["old_schema/scirpy_wu2020_200_v0_6.h5ad", "old_schema/scirpy_wu2020_200_v0_11.h5ad"], None),
    ],
)
def test_real_files_with_different_genes_join(names, key, join, real_data):
    paths = [real_data(name) for name in names]
    parts = [anndata.read_h5ad(path) for path in paths]
    if key is not None:
        for part in parts:
            part.var_names = part.var[key].astype(str)
    shared = set.intersection(*(set(part.var_names) for part in parts))
    if join == "inner" and not shared:
        with pytest.raises(CollectionError, match="No gene is in all 3 files"):
            open_collection(paths, join=join, gene_key=key)
        return
    whole = anndata.concat([anndata.AnnData(part.X, part.obs[[]], part.var[[]]) for part in parts], join=join)
    check(open_collection(paths, join=join, gene_key=key), whole)


def test_real_10x_files_with_the_same_repeated_names_join(real_data):
    paths = sorted(real_data("tenx").glob("scirpy_GSM*"))
    collection = open_collection(paths, join="outer")
    first = open_collection(paths[0])
    assert collection.var_names.tolist() == first.var_names.tolist()
    rows = np.arange(0, len(first), 7)
    np.testing.assert_array_equal(dense(collection.read(rows)["X"]), dense(first.read(rows)["X"]))


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_chosen_genes_are_read_in_the_order_given(kind, tmp_path):
    parts = [cells("ABCDE", 13, kind=kind, seed=1), cells("CAXB", 7, kind=kind, seed=2)]
    paths = written(tmp_path, parts)
    whole = anndata.concat(parts, join="outer", fill_value=0)
    check(open_collection(paths, genes=["C", "A"]), whole[:, ["C", "A"]])
    check(open_collection(paths, genes=["X", "E", "B"], join="outer"), whole[:, ["X", "E", "B"]])
    check(open_collection(paths, genes=["ENSB", "ENSA"], gene_key="id"), keyed(whole, parts, ["ENSB", "ENSA"]))
    with pytest.raises(CollectionError, match="1 of 2 genes is not in all files"):
        open_collection(paths, genes=["X", "B"])
    with pytest.raises(ArgumentTypeError, match="genes='X' is a string"):
        open_collection(paths, genes="X")


def keyed(whole, parts, names):
    named = whole.copy()
    named.var_names = [f"ENS{name}" for name in whole.var_names]
    assert all(name in named.var_names for name in names), parts
    return named[:, names]


def test_genes_matched_by_a_key_keep_their_names(tmp_path):
    parts = [cells("AB", 3, seed=1), cells("BA", 3, seed=2)]
    collection = open_collection(written(tmp_path, parts), join="inner", gene_key="id")
    assert collection.var_names.tolist() == ["ENSA", "ENSB"]
    assert collection.var["var_names"].tolist() == ["A", "B"]


def test_columns_that_a_file_lacks_are_missing_on_request(tmp_path):
    parts = [cells("AB", 3, seed=1, tissue=["x", "y", "x"]), cells("AB", 2, seed=2)]
    paths = written(tmp_path, [parts[0], parts[1]])
    with pytest.raises(CollectionError, match=r"not alike in 1 of 2 files: .*1\.h5ad has no such column"):
        open_collection(paths, obs=["tissue"])
    collection = open_collection(paths, obs=["tissue"], missing_obs="fill")
    assert collection.obs["tissue"].tolist()[:3] == ["x", "y", "x"]
    assert collection.read(np.arange(5))["tissue"].tolist() == [0, 1, 0, -1, -1]
    with pytest.raises(ArgumentValueError, match="obs has no column 'other'"):
        open_collection(paths, obs=["other"], missing_obs="fill")
    with pytest.raises(ArgumentValueError, match="missing_obs='zero'"):
        open_collection(paths, missing_obs="zero")


def test_a_condition_on_obs_gives_rows_for_a_strategy(tmp_path):
    paths = written(tmp_path, [cells("AB", 30, seed=1, tissue=["x", "y", "z"] * 10)])
    collection = open_collection(paths, obs=["tissue"])
    rows = collection.where(lambda obs: obs["tissue"] != "y")
    assert rows.tolist() == [row for row in range(30) if row % 3 != 1]
    assert collection.where(np.arange(30) < 2).tolist() == [0, 1]
    seen = [code for batch in scDataset(collection, BlockShuffling(4, indices=rows), 8) for code in batch["tissue"]]
    assert sorted(seen) == [0] * 10 + [2] * 10
    for wrong in (np.ones(29, bool), np.arange(30), lambda obs: obs["tissue"]):
        with pytest.raises(ArgumentValueError, match=r"give booleans of shape \(30,\)"):
            collection.where(wrong)

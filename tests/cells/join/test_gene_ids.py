"""Genes that are named by plain numbers: taken as they are within files that agree, never matched between others."""

import os

import anndata
import numpy as np
import pandas as pd
import pytest

from scdataset import open_collection
from scdataset.cells import open_many
from scdataset.cells.join.gene_ids import are_numbers, id_columns
from scdataset.errors import ArgumentValueError, CollectionError

LAST_YEAR = 1_700_000_000 * 10**9


def write(folder, name, ids, *, index=None, **columns):
    """Write a file whose genes are numbered, with their ids in a column of var."""
    n_vars = len(ids)
    var = pd.DataFrame({"ensembl_id": ids, "n": [str(i) for i in range(n_vars)], **columns})
    var.index = [str(i) for i in range(n_vars)] if index is None else index
    counts = np.arange(3 * n_vars, dtype="f4").reshape(3, n_vars)
    path = folder / f"{name}.h5ad"
    anndata.AnnData(counts, pd.DataFrame(index=list("abc")), var).write_h5ad(path)
    os.utime(path, ns=(LAST_YEAR, LAST_YEAR))
    return str(path)


@pytest.fixture
def human(tmp_path):
    return write(tmp_path, "human", ["ENSG1", "ENSG2", "ENSG3"], symbol=["TP53", "MYC", "ACTB"])


@pytest.mark.parametrize("options", [{}, {"join": "inner"}, {"join": "outer"}, {"genes": ["0", "1"]}])
@pytest.mark.parametrize("ids", [["ENSGALG1", "ENSGALG2"], ["ENSG1", "ENSG3", "ENSG2"]])
def test_numbers_are_not_matched_between_files_of_different_genes(tmp_path, human, options, ids):
    other = write(tmp_path, "other", ids)
    with pytest.raises(CollectionError, match=r"plain numbers.*gene_key has to be one of \['ensembl_id'\]"):
        open_collection([human, other], **options)


def test_numbers_and_names_are_not_matched(tmp_path, human):
    named = write(tmp_path, "named", ["x", "y"], index=["TP53", "MYC"])
    for paths in ([human, named], [named, human]):
        with pytest.raises(CollectionError, match=r"human\.h5ad are plain numbers.*'ensembl_id'"):
            open_collection(paths, join="inner")


def test_the_files_say_which_columns_each_has_if_none_is_in_both(tmp_path, human):
    other = write(tmp_path, "other", ["1", "2"], symbol=["a", "a"])
    with pytest.raises(CollectionError, match=r"human.h5ad has \['ensembl_id', 'symbol'\].*other.h5ad has \[\]"):
        open_collection([human, other], join="inner")


def test_real_hearts_of_two_species_share_no_genes_by_number(real_data):
    paths = [real_data("cells/heart_human.h5ad"), real_data("cells/heart_chicken.h5ad")]
    with pytest.raises(CollectionError, match=r"plain numbers.*'ensembl_id'"):
        open_collection(paths, join="inner")


def test_numbers_are_taken_where_files_agree(tmp_path, human):
    same = write(tmp_path, "same", ["ENSG1", "ENSG2", "ENSG3"], symbol=["P53", "MYC2", "ACTB"])
    bare = write(tmp_path, "bare", ["1", "2", "3"])
    for paths in ([human, bare], [human, same], [human]):
        cells = open_collection(paths, genes=["2", "0"])
        assert cells[[0]]["X"].tolist() == [[2, 0]]
    by_id = open_collection([human, same], gene_key="ensembl_id")
    assert list(by_id.var_names) == ["ENSG1", "ENSG2", "ENSG3"]
    assert open_collection([human, same], gene_key=lambda var: var.index).n_vars == 3


def test_a_kept_list_of_files_is_refused_as_well(tmp_path, human, monkeypatch):
    monkeypatch.setattr(open_many, "_SLOW", 0)
    other = write(tmp_path, "other", ["ENSGALG1", "ENSGALG2"])
    for _ in range(2):
        with pytest.raises(CollectionError, match="plain numbers"):
            open_collection([human, other], join="inner")


def test_genes_that_are_in_another_column_say_which(human):
    with pytest.raises(ArgumentValueError, match=r"has 2 of them in the column 'ensembl_id'.*gene_key='ensembl_id'"):
        open_collection(human, genes=["ENSG3", "ENSG1"])
    assert open_collection(human, genes=["ENSG3", "ENSG1"], gene_key="ensembl_id")[[0]]["X"].tolist() == [[2, 0]]
    with pytest.raises(ArgumentValueError, match="in the index of var: leave gene_key out"):
        open_collection(human, genes=["1"], gene_key="ensembl_id")


def test_genes_in_other_capitals_are_near(human):
    with pytest.raises(ArgumentValueError, match=r"\{'tp53': \['TP53'\]\}"):
        open_collection(human, genes=["tp53"], gene_key="symbol")


@pytest.mark.parametrize(
    ("names", "found"), [(["0", "12"], True), (["0.0", "1.0"], True), (["1", "a"], False), ([], False)]
)
def test_numbers_are_told_from_names(names, found):
    assert are_numbers(pd.Index(names, dtype=object)) is found


def test_columns_that_identify_genes_are_unique_strings():
    columns = {"id": ["a", "b"], "twice": ["a", "a"], "n": ["1", "2"], "float": [0.5, 1.5], "gone": ["a", None]}
    columns["label"] = pd.Categorical(["x", "y"])
    assert id_columns(pd.DataFrame(columns)) == ["id", "label"]

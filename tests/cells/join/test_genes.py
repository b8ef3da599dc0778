"""Genes of several files: which there are, in which order, and what is refused."""

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdataset.cells.join.genes import gene_names, join_genes
from scdataset.errors import ArgumentValueError, CollectionError

names = st.lists(st.sampled_from([f"g{i}" for i in range(12)]), unique=True, min_size=1)


def paths_of(lists):
    return [f"{number}.h5ad" for number in range(len(lists))]


def joined(lists, **options):
    return join_genes([pd.Index(each, dtype=object) for each in lists], paths_of(lists), **options)


def concatenated(lists, join):
    """Return the genes of the answer of anndata, and its matrix of numbers that are the same for a gene everywhere."""
    number = {gene: float(i + 1) for i, gene in enumerate(sorted({gene for each in lists for gene in each}))}
    adatas = [
        anndata.AnnData(np.array([[number[gene] for gene in each]]), var=pd.DataFrame(index=each)) for each in lists
    ]
    whole = anndata.concat(adatas, join=join, fill_value=0)
    return whole.var_names.tolist(), whole.X


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@given(st.lists(names, min_size=1, max_size=4), st.sampled_from(["inner", "outer"]))
def test_joins_are_those_of_anndata(lists, join):
    if join == "inner" and not set.intersection(*map(set, lists)):
        with pytest.raises(CollectionError, match="No gene is in all"):
            joined(lists, join=join)
        return
    found = joined(lists, join=join)
    expected, _ = concatenated(lists, join)
    assert found.names.tolist() == expected
    for each, table in zip(lists, found.tables, strict=True):
        columns = range(len(each)) if table is None else table
        assert all(
            found.names[c] == gene if c >= 0 else gene not in expected for c, gene in zip(columns, each, strict=True)
        )
    assert found.presence().tolist() == [[gene in each for each in lists] for gene in expected]


@given(names, st.data())
def test_chosen_genes_come_in_the_order_given(stored, data):
    genes = data.draw(st.permutations(stored))[: data.draw(st.integers(1, len(stored)))]
    found = joined([stored], genes=genes)
    assert found.names.tolist() == genes
    columns = range(len(stored)) if found.tables[0] is None else found.tables[0]
    assert [gene for c, gene in zip(columns, stored, strict=True) if c >= 0] == [g for g in stored if g in genes]


def test_files_that_differ_are_counted_and_the_first_is_named():
    with pytest.raises(
        CollectionError, match=r"2 of 3 files have other genes than 0\.h5ad: the first is 1\.h5ad, with 1"
    ):
        joined([["a", "b"], ["a"], ["b", "a"]])


def test_the_same_repeated_names_everywhere_are_no_matter():
    assert joined([["a", "a"], ["a", "a"]], join="outer").alike


def test_repeated_names_are_refused_where_files_differ():
    with pytest.raises(CollectionError, match=r"1\.h5ad has 1 gene name more than once, such as \['a'\], as 1 of 2"):
        joined([["a", "b"], ["a", "a"]], join="inner")
    with pytest.raises(CollectionError, match="more than once"):
        joined([["a", "a", "b"]], genes=["a"])
    assert joined([["a", "a", "b"]], genes=["b"]).tables[0].tolist() == [-1, -1, 0]


def test_genes_that_no_file_has_are_named_with_the_nearest_ones():
    with pytest.raises(ArgumentValueError, match=r"1 of 2 genes is in no file.*'CD33a': \['CD33', 'CD34'\]"):
        joined([["CD33", "CD34", "ACTB"]], genes=["ACTB", "CD33a"])


@pytest.mark.parametrize("genes", [[], ["a", "a"], [1]])
def test_lists_of_genes_that_are_none_are_refused(genes):
    with pytest.raises(ArgumentValueError, match=r"give (different|the) names"):
        joined([["a", "b"]], genes=genes)


def test_genes_that_a_file_lacks_are_zeros_only_on_request():
    lists = [["a", "b"], ["b"]]
    with pytest.raises(CollectionError, match=r"1 of 2 genes is not in all files.*lacks some is 1\.h5ad"):
        joined(lists, genes=["b", "a"], join="inner")
    found = joined(lists, genes=["b", "a"], join="outer")
    assert [table.tolist() for table in found.tables] == [[1, 0], [0]]


def test_an_unknown_join_is_refused():
    with pytest.raises(ArgumentValueError, match="join='left' has to be one of"):
        joined([["a"]], join="left")


@pytest.mark.parametrize("other", [["ensg2.3", "x"], ["Ensg1.9", "x"]])
def test_other_spellings_of_a_gene_are_pointed_out(other):
    with pytest.warns(UserWarning, match="1 gene differs between files only in capitals or in a version"):
        joined([["ENSG1.1", "ENSG2"], other], join="outer")


def test_genes_are_matched_by_a_column_or_a_function_of_var():
    var = pd.DataFrame({"id": ["E1.2", "E2"]}, index=["0", "1"])
    assert gene_names("a.h5ad", var, "id").tolist() == ["E1.2", "E2"]
    assert gene_names("a.h5ad", var, lambda var: var["id"].str.split(".").str[0]).tolist() == ["E1", "E2"]
    with pytest.raises(
        ArgumentValueError, match=r"a\.h5ad: var has no column 'ids'; gene_key has to be one of \['id'\]"
    ):
        gene_names("a.h5ad", var, "ids")
    with pytest.raises(ArgumentValueError, match="gives 2 names, 1 of them missing, for 2 genes"):
        gene_names("a.h5ad", pd.DataFrame({"id": ["E1", None]}), "id")

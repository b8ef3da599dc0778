"""SelectGenes: columns by name."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scdataset import ArgumentTypeError, ArgumentValueError
from scdataset.transforms import SelectGenes

NAMES = ["CD4", "MS4A1", "CD8A", "CD4"]
X = np.arange(8).reshape(2, 4)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_genes_come_in_the_order_asked_for(form):
    chosen = SelectGenes(["CD8A", "MS4A1"], NAMES)(form(X))
    assert (chosen.toarray() if sp.issparse(chosen) else chosen).tolist() == [[2, 1], [6, 5]]


def test_a_gene_that_is_there_more_than_once_is_refused():
    with pytest.raises(ArgumentValueError, match="1 gene is more than once among the 4 of X, such as 'CD4'"):
        SelectGenes(["CD8A", "CD4"], NAMES)


def test_anndata_has_the_names_and_stays_anndata():
    adata = anndata.AnnData(X[:, :3], var=pd.DataFrame(index=NAMES[:3]))
    chosen = SelectGenes(["CD8A", "CD4"])(adata)
    assert chosen.X.tolist() == [[2, 0], [6, 4]]
    assert chosen.var_names.tolist() == ["CD8A", "CD4"]
    assert not chosen.is_view


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SelectGenes("CD4"), ArgumentTypeError, r"\['CD4'\]"),
        (lambda: SelectGenes(["CD8a", "CD4"], NAMES), ArgumentValueError, r"1 of 2 .*'CD8a'\. Did you mean 'CD8A'"),
        (lambda: SelectGenes(["CD4"])(X), ArgumentValueError, "var_names=cells.var_names"),
        (lambda: SelectGenes(["CD4"], NAMES[:2])(X), ArgumentValueError, "2 var_names, and X has 4 genes"),
    ],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()

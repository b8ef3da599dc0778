"""Arguments of all kinds: statistics take them or raise an error of this package."""

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.odd import raw_errors

from scdataset import pp

COUNTS = np.random.default_rng(0).poisson(1.0, (12, 3)).astype(np.float32)
CELLS = anndata.AnnData(COUNTS, obs=pd.DataFrame({"a": list("xy") * 6}, index=[f"c{cell}" for cell in range(12)]))
CELLS.var_names = ["a", "b", "c"]
pytestmark = pytest.mark.filterwarnings("ignore")

FUNCTIONS = {
    pp.highly_variable_genes: {"n_top_genes": 2, "flavor": "cell_ranger", "check_values": False},
    pp.library_sizes: {},
    pp.looks_like_counts: {},
    pp.nonzero_medians: {},
    pp.qc_metrics: {},
}


@pytest.mark.parametrize(("function", "sound"), FUNCTIONS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_odd_options_and_cells_raise_errors_of_this_package(function, sound):
    assert raw_errors(function, {"cells": CELLS, **sound}) == {}

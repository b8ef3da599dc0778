"""Features of 10x are selected by genome and type."""

import numpy as np
import pandas as pd
import pytest

from scdataset.cells.formats.features import as_table, chosen_features
from scdataset.errors import ArgumentValueError

VAR = pd.DataFrame({"genome": ["GRCh38", "mm10", "GRCh38"], "feature_types": ["Gene", "Gene", "Antibody"]})


def test_selected_columns_are_in_the_order_of_the_file():
    assert chosen_features("f", VAR, None, None) is None
    assert chosen_features("f", VAR, "GRCh38", None).tolist() == [0, 2]
    assert chosen_features("f", VAR, "GRCh38", ["Gene"]).tolist() == [0]


def test_an_unknown_type_is_answered_with_those_there_are():
    with pytest.raises(ArgumentValueError, match=r"no features of feature_types \['Genes'\]; there are"):
        chosen_features("f", VAR, None, ["Genes"])
    with pytest.raises(ArgumentValueError, match="some of each, and none of both"):
        chosen_features("f", VAR, "mm10", ["Antibody"])


def test_the_table_has_the_new_number_of_each_column():
    table, n_columns = as_table(np.array([2, 0]), 4)
    assert table.tolist() == [1, -1, 0, -1]
    assert n_columns == 2

"""Strata: rows agree in a stratum exactly where they agree in every column."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.grouped import GroupedSampling
from scdataset.strategy.strata import Strata


def _codes(strata):
    return strata.encoded.from_zero()


@given(rows=st.lists(st.tuples(st.integers(-3, 3), st.sampled_from("abc"), st.booleans()), min_size=1, max_size=50))
def test_rows_share_a_stratum_where_all_columns_agree(rows):
    columns = {"day": [row[0] for row in rows], "lane": [row[1] for row in rows], "male": [row[2] for row in rows]}
    strata = Strata.from_columns(columns)
    codes = _codes(strata).tolist()
    assert len(set(zip(codes, rows, strict=True))) == len(set(codes)) == len(set(rows))
    for code, (day, lane, male) in zip(codes, rows, strict=True):
        assert strata.label(code) == f"day={day}, lane={lane!r}, male={male}"


def test_frames_and_mappings_are_columns_and_anything_else_is_one():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = {"batch": ["x", "x", "y", "y"], "donor": ["1", "2", "1", "1"]}
    frames = [columns, pd.DataFrame(columns), pd.DataFrame(columns).astype("category"), pl.DataFrame(columns)]
    for match in frames:
        assert np.unique(_codes(Strata.from_columns(match)), return_inverse=True)[1].tolist() == [0, 1, 2, 2]
    one = Strata.from_columns(columns["batch"])
    assert _codes(one).tolist() == [0, 0, 1, 1]
    assert one.label(1) == "'y'"
    assert _codes(Strata.from_columns(frames[1][["batch"]])).tolist() == [0, 0, 1, 1]


def test_many_combinations_take_no_more_codes_than_there_are():
    ids = np.arange(3000) * 10**9
    strata = Strata.from_columns({"a": ids, "b": ids[::-1], "c": ids})
    assert strata.encoded.classes.size == 3000
    assert strata.label(int(_codes(strata)[7])) == f"a={ids[7]}, b={ids[-8]}, c={ids[7]}"


@pytest.mark.parametrize(
    ("match", "error", "message"),
    [
        ({}, ArgumentValueError, "match has no columns"),
        ({"a": [1, 2], "b": [1, 2, 3]}, ArgumentValueError, r"different lengths \(\{'a': 2, 'b': 3\}\)"),
        ([["a"]], ArgumentTypeError, "match cannot be compared"),
        (dict.fromkeys("abcde", np.arange(40_000)), ArgumentValueError, "too many combinations"),
    ],
)
def test_bad_columns_are_refused_by_name(match, error, message):
    with pytest.raises(error, match=message):
        Strata.from_columns(match)


@pytest.mark.parametrize("match", [{"a": [1, None, 1]}, {"a": [1, None, 1], "b": [1, 1, 1]}])
def test_rows_that_take_part_need_a_label_in_every_column(match):
    with pytest.raises(ArgumentValueError, match=r"match\['a'\] has 1 missing values among 3"):
        GroupedSampling(["x", "x", "y"], 1, control="y", match=match)
    strategy = GroupedSampling(["x", "x", "y"], 1, control="y", match=match, indices=[0, 2])
    assert strategy.get_indices(range(3), seed=0).tolist() == [0, 2]
    assert strategy.match["a"].tolist() == [1, None, 1]

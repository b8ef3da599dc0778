"""Arguments of all kinds: splits and value kinds of a collection take them or raise an error of this package."""

from functools import partial

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.odd import raw_errors

from scdataset import ArgumentTypeError, open_collection

SOUND = {"rows": [0], "obs": None, "obsm": None}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    obs = pd.DataFrame({"label": list("ab") * 6, "number": np.arange(12), "flag": [True, False] * 6})
    adata = anndata.AnnData(np.random.default_rng(0).poisson(1.0, (12, 3)).astype(np.float32), obs=obs.rename(str))
    path = tmp_path_factory.mktemp("odd") / "cells.h5ad"
    adata.write_h5ad(path)
    return open_collection(path)


def test_odd_arguments_of_value_kind_raise_errors_of_this_package(cells):
    assert raw_errors(cells.value_kind, {}) == {}


def test_odd_arguments_of_obs_frame_raise_errors_of_this_package(cells):
    assert raw_errors(lambda chosen=("label",), names=False: cells.obs_frame(chosen, names=names), {}) == {}


def test_odd_arguments_of_where_raise_errors_of_this_package(cells):
    assert raw_errors(cells.where, {}) == {}


def test_odd_arguments_of_holdout_raise_errors_of_this_package(cells):
    assert raw_errors(lambda files: cells.holdout(files=files), {}) == {}
    assert raw_errors(lambda given: cells.holdout(given, label="a"), {}) == {}
    for column in ("label", "number", "flag"):
        assert raw_errors(partial(_held_out, cells, column), {}) == {}


def test_odd_arguments_of_to_adata_and_write_obsm_raise_errors_of_this_package(cells):
    assert raw_errors(lambda rows, obs, obsm: cells.to_adata(rows, obs=obs, obsm=obsm), SOUND) == {}
    written = {"name": "z", "array": np.ones((12, 1)), "overwrite": True}
    assert raw_errors(lambda name, array, overwrite: cells.write_obsm(name, array, overwrite=overwrite), written) == {}


@pytest.mark.parametrize(
    "option",
    [
        *("layer", "genome", "gene_key", "unique_names", "index_unique", "label"),
        *("join", "missing_obs", "missing_modality", "modality", "obs", "obsm", "genes", "dtype", "keys"),
    ],
)
def test_odd_arguments_of_open_collection_raise_errors_of_this_package(cells, option):
    assert raw_errors(lambda value: open_collection(cells.files, **{option: value}), {}) == {}


def _held_out(cells, column, value=0, one=None):
    return cells.holdout(**{column: value if one is None else [one]})


def test_holdout_says_that_it_takes_names_and_what_it_got(cells):
    with pytest.raises(ArgumentTypeError, match=r"such as donor=\['D3'\], and got 'label' without a name"):
        cells.holdout("label")

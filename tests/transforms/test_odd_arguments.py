"""Arguments and batches of all kinds: transforms take them or raise an error of this package."""

import anndata
import numpy as np
import pytest
from tests.odd import raw_errors

from scdataset import transforms as tf
from scdataset.strategy.row_keys import call_transform

X = np.random.default_rng(0).poisson(1.0, (12, 3)).astype(np.float32)
KEYS = tf.RowKeys(np.arange(12), seed=0, epoch=0)
pytestmark = pytest.mark.filterwarnings("ignore")

MAKERS = {
    tf.BinValues: {},
    tf.Clip: {"minimum": 0},
    tf.DownsampleCounts: {"total": 3},
    tf.GeneSentence: {"gene_ids": [5, 6, 7]},
    tf.Log1p: {},
    tf.MaskValues: {},
    tf.NormalizeTotal: {},
    tf.RankTokens: {"token_ids": [5, 6, 7], "medians": [1.0, 1.0, 1.0]},
    tf.Scale: {"mean": [0, 0, 0], "std": [1, 1, 1]},
    tf.SelectGenes: {"names": ["a"], "var_names": ["a", "b", "c"]},
    tf.ToTorch: {},
}
FUNCTIONS = {
    tf.RankTokens.from_dictionaries: {"var_names": ["a"], "tokens": {"a": 3}, "medians": {"a": 1.0}},
    tf.RowKeys: {"rows": [0], "seed": 0, "epoch": 0},
    KEYS.uint64: {"purpose": "a"},
    KEYS.floats: {"purpose": "a", "n": 1},
    tf.keyed: {},
    tf.adata_to_mindex: {"batch": anndata.AnnData(X, obs={"a": np.arange(12), "b": np.arange(12)})},
    tf.hf_tahoe_to_tensor: {"batch": {"genes": [[1]], "expressions": [[2.0]]}},
}
in_all = pytest.mark.parametrize(("make", "sound"), MAKERS.items(), ids=lambda value: getattr(value, "__name__", ""))


@in_all
def test_odd_options_raise_errors_of_this_package(make, sound):
    assert raw_errors(make, sound) == {}


@pytest.mark.parametrize(("function", "sound"), FUNCTIONS.items(), ids=lambda value: getattr(value, "__qualname__", ""))
def test_odd_arguments_of_functions_raise_errors_of_this_package(function, sound):
    assert raw_errors(function, sound) == {}


def test_odd_members_of_compose_raise_errors_of_this_package():
    assert raw_errors(lambda one: tf.Compose(tf.Log1p(), one), {}) == {}


@in_all
def test_odd_batches_and_keys_raise_errors_of_this_package(make, sound):
    transform = make(**sound)

    def call(batch=X, keys=KEYS):
        return call_transform(transform, batch, keys)

    def call_on_members(X=X, total_counts=None, values=None, special_tokens_mask=None):  # noqa: N803 the name of a member
        found = {"X": X, "total_counts": total_counts, "values": values, "special_tokens_mask": special_tokens_mask}
        return call({name: member for name, member in found.items() if member is not None})

    assert raw_errors(call, {}) == {}
    assert raw_errors(call_on_members, {}) == {}
    assert raw_errors(call_on_members, {"values": X}) == {}

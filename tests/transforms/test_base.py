"""All transforms are values: frozen, comparable, hashable and picklable."""

import pickle
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from scdataset import transforms as tf
from scdataset.strategy.row_keys import call_transform

KEYS = tf.RowKeys([4, 9], seed=0, epoch=0)
X = np.array([[1, 0, 3], [0, 2, 2]], np.float32)

MAKERS = {
    "BinValues": (lambda: tf.BinValues(5), tf.BinValues(6)),
    "Clip": (lambda: tf.Clip(0, 2), tf.Clip(0, 3)),
    "Compose": (
        lambda: tf.Compose(tf.Log1p(), tf.Scale([1, 2, 3], [1, 1, 1])),
        tf.Compose(tf.Log1p(), tf.Scale([1, 2, 3], [1, 1, 2])),
    ),
    "DownsampleCounts": (lambda: tf.DownsampleCounts(2), tf.DownsampleCounts(3)),
    "GeneSentence": (lambda: tf.GeneSentence([5, -1, 6], 2), tf.GeneSentence([5, 7, 6], 2)),
    "Log1p": (tf.Log1p, tf.Log1p(2)),
    "MaskValues": (lambda: tf.MaskValues(0.5), tf.MaskValues(0.4)),
    "NormalizeTotal": (lambda: tf.NormalizeTotal(None, library_sizes=[1, 3]), tf.NormalizeTotal(3)),
    "RankTokens": (lambda: tf.RankTokens([5, -1, 6], [1, np.nan, 2], 3), tf.RankTokens([5, -1, 6], [1, np.nan, 3], 3)),
    "Scale": (lambda: tf.Scale([1, 2, 3], [1, 1, 2], max_value=2), tf.Scale([1, 2, 3], [1, 1, 2])),
    "SelectGenes": (lambda: tf.SelectGenes(["b"], ["a", "b", "c"]), tf.SelectGenes(["b"], ["b", "a", "c"])),
    "ToTorch": (lambda: tf.ToTorch(tokens=["ids"]), tf.ToTorch()),
}
all_transforms = pytest.mark.parametrize(("make", "other"), MAKERS.values(), ids=MAKERS)


def _called(transform):
    found = call_transform(transform, X, KEYS)
    return [np.asarray(member) for member in found.values()] if hasattr(found, "keys") else [np.asarray(found)]


@all_transforms
def test_options_cannot_be_changed(make, other):
    transform = make()
    for field in fields(transform):
        with pytest.raises(FrozenInstanceError):
            setattr(transform, field.name, None)
        with pytest.raises(FrozenInstanceError):
            delattr(transform, field.name)
        value = getattr(transform, field.name)
        assert not (isinstance(value, np.ndarray) and value.flags.writeable)
    with pytest.raises(FrozenInstanceError):
        transform.anything = 1
    assert transform == make()


@all_transforms
def test_equal_options_make_equal_transforms_also_after_pickling(make, other):
    transform = make()
    copy = pickle.loads(pickle.dumps(transform))
    assert transform == make() == copy
    assert hash(transform) == hash(make()) == hash(copy)
    assert transform != other
    assert transform != 1
    assert repr(copy) == repr(transform)
    assert not any(isinstance(value, np.ndarray) and value.flags.writeable for value in vars(copy).values())
    assert all(map(np.array_equal, _called(copy), _called(transform)))


def test_a_transform_with_one_option_changed_is_made_by_replace():
    assert replace(tf.Scale([1], [2]), max_value=3) == tf.Scale([1], [2], max_value=3)
    assert replace(tf.GeneSentence([5, 6]), max_length=7) == tf.GeneSentence([5, 6], 7)
    assert replace(tf.SelectGenes(["a"]), var_names=("a", "b")) == tf.SelectGenes(["a"], ["a", "b"])

"""The arguments of CellDataModule: checked when it is made, and where they need the collection, at setup."""

import inspect
from importlib.util import find_spec

import numpy as np
import pytest
from tests.odd import raw_errors

from scdataset import ArgumentTypeError, ArgumentValueError, BlockShuffling
from scdataset.transforms import ToTorch

pytestmark = pytest.mark.skipif(
    not (find_spec("lightning") or find_spec("pytorch_lightning")), reason="Lightning is not installed"
)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"collection": None}, ArgumentTypeError, "collection=None"),
        ({"val": "D3"}, ArgumentValueError, "val='D3' is not known"),
        ({"val": "rest"}, ArgumentValueError, "val='rest' is not known"),
        ({"val": 3}, ArgumentTypeError, "val=3 is of type int"),
        ({"val": {}}, ArgumentValueError, "val={}; give columns"),
        ({"label": 3}, ArgumentTypeError, "label=3"),
        ({"row_key": 3}, ArgumentTypeError, "row_key=3"),
        ({"batch_size": 0}, ArgumentValueError, "batch_size=0"),
        ({"eval_batch_size": 2.5}, ArgumentTypeError, r"eval_batch_size=2\.5"),
        ({"fetch_factor": "a"}, ArgumentTypeError, "fetch_factor='a'"),
        ({"block_size": 0}, ArgumentValueError, "block_size=0"),
        ({"prefetch": -1}, ArgumentValueError, "prefetch=-1"),
        ({"num_workers": None}, ArgumentTypeError, "num_workers=None"),
        ({"seed": -1}, ArgumentValueError, "seed=-1"),
        ({"drop_last": "no"}, ArgumentTypeError, "drop_last='no'"),
        ({"uneven_ranks": 2}, ArgumentTypeError, "uneven_ranks=2"),
        ({"fetch_transform": 3}, ArgumentTypeError, "fetch_transform=3"),
        ({"batch_transform": "dense"}, ArgumentValueError, "batch_transform='dense' is not known"),
        ({"batch_transform": ToTorch}, ArgumentTypeError, "batch_transform is the class"),
        ({"strategy": 3}, ArgumentTypeError, "strategy=3"),
        ({"strategy": BlockShuffling}, None, None),
        ({"strategy": BlockShuffling(4, [1])}, ArgumentValueError, "indices of its own"),
        ({"loader_options": {"pin_memory": True}}, ArgumentValueError, "num_workers=0"),
        ({"loader_options": {"shuffle": True}, "num_workers": 1}, ArgumentValueError, r"\['shuffle'\]"),
        ({"loader_options": 3}, ArgumentTypeError, "loader_options=3"),
        ({"open_options": ["obs"]}, ArgumentTypeError, "open_options="),
        ({"resume_ignore": "collection"}, ArgumentValueError, "resume_ignore="),
        ({"resume_ignore": 3}, ArgumentValueError, "resume_ignore=3"),
        ({"batch_transform": np.ones(3)}, ArgumentTypeError, "batch_transform="),
    ],
)
def test_arguments_are_checked_when_the_module_is_made(module, options, error, match):
    if error is None:
        module(**options)
        return
    with pytest.raises(error, match=match):
        module(**options)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"val": {"donor": "D9"}}, ArgumentValueError, "^val: donor: .*'D9'"),
        ({"val": {"doner": "D3"}}, ArgumentValueError, "^val: .*Did you mean 'donor'"),
        ({"val": [500]}, ArgumentValueError, "^val: .*500"),
        ({"val": np.ones(3, bool)}, ArgumentValueError, "^val: "),
        ({"val": lambda obs: obs["number"] < 0}, ArgumentValueError, r"val=<function> has none of the 200 cells"),
        ({"val": range(200)}, ArgumentValueError, "train='rest' has none"),
        ({"label": "number"}, ArgumentValueError, "label='number' is no column of labels"),
        ({"label": "kin"}, ArgumentValueError, "'kin'"),
    ],
)
def test_splits_and_labels_are_checked_at_setup(module, options, error, match):
    data = module(**options)
    with pytest.raises(error, match=match):
        data.setup("fit")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_arguments_end_in_errors_of_this_package():
    from scdataset.integrations.lightning import CellDataModule

    def made(**options):
        data = CellDataModule(**options)
        data.setup("fit")
        return data.train_dataloader(), data

    made.__signature__ = inspect.signature(CellDataModule)
    assert not raw_errors(made, {"collection": np.eye(6)})


@pytest.mark.parametrize(
    ("strategy", "match"), [(lambda rows: BlockShuffling(4, rows), "failed: .*'indices'"), (dict, "returned {")]
)
def test_a_function_that_makes_no_strategy_is_named(module, strategy, match):
    with pytest.raises(ArgumentTypeError, match=match):
        module(strategy=strategy).train_dataloader()

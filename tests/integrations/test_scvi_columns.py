"""Columns of obs as scvi-tools takes them."""

import numpy as np
import pandas as pd
import pytest
import torch
from tests.integrations.labelled_cells import labelled_cells

from scdataset import ArgumentTypeError, ArgumentValueError, open_collection
from scdataset.integrations.scvi_columns import ScviColumns, ToScvi
from scdataset.transforms import RowKeys


class Frame:
    """The part of a collection that columns are made of."""

    def __init__(self, **columns):
        self.columns = pd.DataFrame(columns)

    def obs_frame(self, names):
        return self.columns[names]


def labels_of(values, categories=None, unlabeled="Unknown"):
    column = pd.Series(pd.Categorical(values, categories))
    return ScviColumns.from_frame(Frame(label=column), None, "label", unlabeled, [], [])


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (["B", "Unknown", "A"], ["B", "Unknown", "A"]),
        (["B", None, "A"], ["B", "A"]),
        (["B", None, "A"], ["Unknown", "A", "B"]),
        (["B", None, "A"], ["B", "A", "Unknown"]),
    ],
)
def test_the_unlabelled_category_is_last_and_missing_labels_have_it(values, categories):
    columns = labels_of(values, categories)
    assert columns.labels.categories[-1] == "Unknown"
    assert columns.labels.categories[columns.labels.codes].tolist() == ["B", "Unknown", "A"]
    assert columns.labelled.tolist() == [True, False, True]


def test_the_registry_counts_the_unlabelled_category_and_n_labels_does_not():
    columns = labels_of(["B", "A", "B"])
    fields = columns.registry(3, pd.Index(["g"]), "1")["field_registries"]
    assert columns.n_labels == 2
    assert fields["labels"]["summary_stats"] == {"n_labels": 3}
    assert fields["labels"]["state_registry"]["categorical_mapping"].tolist() == ["A", "B", "Unknown"]


def test_an_unlabelled_category_in_another_spelling_is_refused():
    with pytest.raises(ArgumentValueError, match="give unlabeled_category='unknown'"):
        labels_of(["B", "unknown", "A"])


def test_labels_may_be_numbers():
    assert labels_of([7, 5, None]).labels.categories.tolist() == [5, 7, "Unknown"]


def test_without_columns_there_is_one_batch_and_no_label():
    columns = ScviColumns.from_frame(Frame(other=[1.0, 2.0, 3.0]), None, None, "Unknown", [], [])
    fields = columns.registry(3, pd.Index(["g"]), "1")["field_registries"]
    assert (fields["batch"]["summary_stats"], columns.n_labels) == ({"n_batch": 1}, 1)
    assert not columns.labelled.any()
    assert columns.batch.codes.base.nbytes < 8


def test_batches_have_codes_and_covariates_of_their_rows(tmp_path):
    made = labelled_cells()
    made.write_h5ad(tmp_path / "cells.h5ad")
    cells, rows = open_collection(tmp_path / "cells.h5ad"), np.array([7, 2, 300])
    columns = ScviColumns.from_frame(cells, "donor", "label", "Unknown", ["truth", "plate"], ["age"])
    batch = ToScvi(columns)(cells[rows], RowKeys(rows, seed=0, epoch=0))
    assert list(batch) == ["X", "batch", "extra_categorical_covs", "extra_continuous_covs", "labels"]
    assert {name: (value.dtype, tuple(value.shape)) for name, value in batch.items()} == {
        "X": (torch.float32, (3, 40)),
        "batch": (torch.int64, (3, 1)),
        "extra_categorical_covs": (torch.int64, (3, 2)),
        "extra_continuous_covs": (torch.float32, (3, 1)),
        "labels": (torch.int64, (3, 1)),
    }
    assert np.array_equal(batch["X"], made.X[rows].toarray())
    assert np.array_equal(columns.labels.categories[batch["labels"][:, 0]], made.obs["label"].iloc[rows])
    assert np.array_equal(batch["extra_categorical_covs"][:, 1] + 3, made.obs["plate"].iloc[rows])


def test_a_batch_or_covariate_that_is_missing_in_a_row_in_use_is_refused():
    frame = Frame(donor=["a", None, "a"], age=[1.0, 2.0, np.nan])
    columns = ScviColumns.from_frame(frame, "donor", None, "Unknown", [], ["age"])
    columns.refuse_missing(np.array([0]))
    with pytest.raises(ArgumentValueError, match=r"obs\['donor'\] is missing or infinite in 1 of 2 cells"):
        columns.refuse_missing(np.array([True, True, False]))
    with pytest.raises(ArgumentValueError, match=r"obs\['age'\]"):
        columns.refuse_missing(np.array([2]))


def test_a_continuous_covariate_of_labels_is_refused():
    with pytest.raises(ArgumentTypeError, match="categorical_covariate_keys"):
        ScviColumns.from_frame(Frame(donor=["a", "b"]), None, None, "Unknown", [], ["donor"])

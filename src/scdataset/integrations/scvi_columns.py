"""The columns of obs that models of scvi-tools take, and batches and registries made of them.

Needs no scvi-tools. Codes are those that scvi-tools gives AnnData in memory, so that weights can be exchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from scdataset._tables import counted
from scdataset._types import Array
from scdataset.collections.multiindexable import MultiIndexable
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.row_keys import RowKeys
from scdataset.transforms import ToTorch

if TYPE_CHECKING:
    import pandas as pd

    from scdataset.cells import CellCollection

__all__ = ["ScviColumns", "ToScvi"]

_CATEGORICAL, _CONTINUOUS = "extra_categorical_covs", "extra_continuous_covs"


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of labels.

    Attributes
    ----------
    key
        Its name in obs, or the name that scvi-tools has where there is none.
    codes
        Code of each cell, -1 where it is missing; shape ``(n_obs,)``.
    categories
        Label of each code; shape ``(n_categories,)``.
    given
        Its name in obs; None where there is no such column.
    """

    key: str
    codes: Array
    categories: Array
    given: str | None = None

    @classmethod
    def from_series(cls, column: "pd.Series") -> "Coded":
        """Return the codes of a column, and all its categories, whether they occur or not."""
        labels = column.astype("category").cat
        name = str(column.name)
        return cls(name, labels.codes.to_numpy(), labels.categories.to_numpy(), name)

    @classmethod
    def constant(cls, name: str, n_obs: int) -> "Coded":
        """Return the same code for all cells, in the memory of one."""
        return cls(f"_scvi_{name}", np.broadcast_to(np.zeros((), np.int8), n_obs), np.zeros(1, np.int64))

    @property
    def state(self) -> dict[str, object]:
        """The column in a registry."""
        return {"categorical_mapping": self.categories, "original_key": self.key}


@dataclass(frozen=True, slots=True)
class ScviColumns:
    """Batches, labels and covariates of all cells of a collection.

    Attributes
    ----------
    batch, labels
        Of each cell; the same for all where there is no such column.
    categorical, continuous
        Covariates by name.
    unlabeled
        The category of cells without a label, which is the last one; None where there are no labels.
    """

    batch: Coded
    labels: Coded
    categorical: Mapping[str, Coded]
    continuous: Mapping[str, NDArray[np.float32]]
    unlabeled: str | None

    @classmethod
    def from_frame(
        cls,
        cells: "CellCollection",
        batch_key: str | None,
        labels_key: str | None,
        unlabeled: str,
        categorical: Sequence[str],
        continuous: Sequence[str],
    ) -> "ScviColumns":
        """Read columns of obs.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If there is no such column, a covariate is no number, or the name of the unlabelled category is spelled in
            another way.
        """
        keys = [key for key in (batch_key, labels_key) if key is not None]
        frame = cells.obs_frame(list(dict.fromkeys([*keys, *categorical, *continuous])))
        n_obs = len(frame)
        return cls(
            Coded.constant("batch", n_obs) if batch_key is None else Coded.from_series(frame[batch_key]),
            Coded.constant("labels", n_obs) if labels_key is None else _labels(frame[labels_key], unlabeled),
            {name: Coded.from_series(frame[name]) for name in categorical},
            {name: _numbers(frame[name]) for name in continuous},
            None if labels_key is None else unlabeled,
        )

    @property
    def n_labels(self) -> int:
        """Number of labels, without the unlabelled category."""
        return len(self.labels.categories) - (self.unlabeled is not None)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which cells have a label, shape ``(n_obs,)``."""
        return self.labels.codes < (0 if self.unlabeled is None else self.n_labels)

    def refuse_missing(self, rows: Array) -> None:
        """Raise if one of these rows, numbers or a mask, lacks a batch or a covariate."""
        coded = {self.batch.key: self.batch, **self.categorical}
        absent = {name: column.codes[rows] < 0 for name, column in coded.items()}
        absent |= {name: ~np.isfinite(values[rows]) for name, values in self.continuous.items()}
        for name, lacking in absent.items():
            if lacking.any():
                message = (
                    f"obs[{name!r}] is missing or infinite in {lacking.sum():,} of {counted(lacking.size, 'cell')}, "
                    "and scvi-tools takes no missing batches and covariates. Leave those cells out with train and "
                    f"validation, or leave out {name!r}."
                )
                raise ArgumentValueError(message)

    def registry(self, n_obs: int, var_names: "pd.Index", scvi_version: str) -> dict[str, object]:
        """Return the description of data that models are made of; the unlabelled category counts as a label."""
        genes = {"n_obs": n_obs, "n_vars": len(var_names), "column_names": var_names.to_numpy()}
        labels = {**self.labels.state, "unlabeled_category": self.unlabeled}
        return {
            "scvi_version": scvi_version,
            "setup_method_name": "setup_datamodule",
            "setup_args": self._arguments,
            "field_registries": {
                "X": _field(genes, n_vars=len(var_names), n_cells=n_obs),
                "batch": _field(self.batch.state, n_batch=len(self.batch.categories)),
                "labels": _field(labels, n_labels=len(self.labels.categories)),
                "size_factor": _field({}),
                _CATEGORICAL: _field(self._categorical_state, **{f"n_{_CATEGORICAL}": len(self.categorical)}),
                _CONTINUOUS: _field(self._continuous_state, **{f"n_{_CONTINUOUS}": len(self.continuous)}),
            },
        }

    @property
    def _arguments(self) -> dict[str, object]:
        """Arguments as those of ``setup_anndata``."""
        return {
            "layer": None,
            "batch_key": self.batch.given,
            "labels_key": self.labels.given,
            "size_factor_key": None,
            "categorical_covariate_keys": list(self.categorical) or None,
            "continuous_covariate_keys": list(self.continuous) or None,
        }

    @property
    def _categorical_state(self) -> dict[str, object]:
        mappings = {name: column.categories for name, column in self.categorical.items()}
        sizes = [len(categories) for categories in mappings.values()]
        if not mappings:
            return {}
        # AnnData's registry has mappings, and 1.5.1 looks for a mapping in that of a data module
        return {"field_keys": list(mappings), "mappings": mappings, "mapping": mappings, "n_cats_per_key": sizes}

    @property
    def _continuous_state(self) -> dict[str, object]:
        return {"columns": np.array(list(self.continuous), object)} if self.continuous else {}


class ToScvi:
    """A transform of batches into the tensors that scvi-tools takes; needs the numbers of their rows.

    ``X`` is float32 of shape ``(n_rows, n_vars)``; codes are int64 and continuous covariates float32, of shape
    ``(n_rows, 1)`` or ``(n_rows, n_covariates)``. The order of names is that of AnnData in memory: another one has
    SCANVI train its classifier on cells without a label.
    """

    needs_keys: ClassVar[bool] = True

    def __init__(self, columns: ScviColumns) -> None:
        codes = {
            "batch": [columns.batch.codes],
            _CATEGORICAL: [column.codes for column in columns.categorical.values()],
            _CONTINUOUS: list(columns.continuous.values()),
            "labels": [columns.labels.codes],
        }
        self._columns = {name: values for name, values in codes.items() if values}
        self._to_torch = ToTorch()

    def __call__(self, batch: MultiIndexable, keys: RowKeys) -> dict[str, torch.Tensor]:
        """Return the tensors of a batch by name."""
        columns = {name: _stacked(values, keys.rows) for name, values in self._columns.items()}
        x = cast("torch.Tensor", self._to_torch(batch["X"]))
        return {"X": x, **columns}


def _stacked(columns: Sequence[Array], rows: NDArray[np.int64]) -> torch.Tensor:
    kind = np.float32 if columns[0].dtype.kind == "f" else np.int64
    return torch.from_numpy(np.stack([column[rows] for column in columns], axis=1).astype(kind, copy=False))


def _field(state: Mapping[str, object], **counts: int) -> dict[str, object]:
    return {"data_registry": {}, "state_registry": dict(state), "summary_stats": counts}


def _labels(column: "pd.Series", unlabeled: str) -> Coded:
    """Return labels with the unlabelled one last: it and the last one change places, as in scvi-tools."""
    labels = column.astype("category")
    names = labels.cat.categories.tolist()
    if unlabeled not in names:
        _refuse_other_spelling(str(column.name), names, unlabeled)
        labels = labels.cat.add_categories([unlabeled])
        names.append(unlabeled)
    place = names.index(unlabeled)
    names[place], names[-1] = names[-1], names[place]
    return Coded.from_series(labels.cat.reorder_categories(names).fillna(unlabeled))


def _refuse_other_spelling(key: str, names: Sequence[object], unlabeled: str) -> None:
    alike = [name for name in names if str(name).lower() == unlabeled.lower()]
    if alike:
        message = (
            f"unlabeled_category={unlabeled!r} is no label of obs[{key!r}], and {alike[0]!r} is; give "
            f"unlabeled_category={alike[0]!r}, or cells of that label are taken for a cell type."
        )
        raise ArgumentValueError(message)


def _numbers(column: "pd.Series") -> NDArray[np.float32]:
    if column.dtype.kind not in "iufb":
        message = (
            f"continuous_covariate_keys has {column.name!r}, which is no column of numbers; give it in "
            "categorical_covariate_keys."
        )
        raise ArgumentTypeError(message)
    return column.to_numpy(np.float32)

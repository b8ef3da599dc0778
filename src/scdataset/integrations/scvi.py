"""ScviDataModule: SCVI and SCANVI of scvi-tools train on cells that stay on disk.

The facts about scvi-tools that this file goes by, of its releases 1.4.2 and 1.5.1:

- A model is made of a registry in place of AnnData. ``setup_method_name`` tells it that data come from a data module.
- SCANVI trains its classifier on the second part of a batch that is a pair. A dict leaves the classifier as it was.
- The unlabelled category is the last of the labels in the registry, and no class of the classifier.
- ``labels_`` is looked through for the unlabelled category, and saved with the model.
- 1.5.1 splits cells by fractions if a data module has ``set_split``, which would undo ``train`` and ``validation``.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import DataLoader

from scdataset._arguments import flag, optional_names, optional_whole, warn, whole
from scdataset._packages import missing
from scdataset._tables import counted
from scdataset._types import Array
from scdataset.cells import CellCollection
from scdataset.dataset import scDataset
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.integrations.scvi_columns import ScviColumns, ToScvi
from scdataset.strategy import BlockShuffling, SamplingStrategy, Streaming

try:
    from lightning.pytorch import LightningDataModule
    from lightning.pytorch.utilities import CombinedLoader
    from packaging.version import Version

    _INSTALLED = version("scvi-tools")
except ImportError as error:
    raise missing(__name__, "scvi-tools>=1.4.2", because=error) from error
if Version(_INSTALLED) < Version("1.4.2"):
    raise missing(__name__, "scvi-tools>=1.4.2", because=f"{_INSTALLED} is installed")

__all__ = ["ScviDataModule"]


class ScviDataModule(LightningDataModule):  # type: ignore[misc]  # without scvi-tools it has no type
    """Cells on disk for SCVI and SCANVI of scvi-tools, 1.4.2 or later.

    Parameters
    ----------
    cells
        Counts, as `open_collection` returns them, with the genes to model: ``open_collection(..., genes=hvg)``.
    batch_key
        Column of obs with the batch of each cell; None for a single batch.
    labels_key
        Column of obs with labels, which SCANVI needs; None for none.
    unlabeled_category
        Label of cells whose label is not known. Missing labels count as this one.
    categorical_covariate_keys, continuous_covariate_keys
        Columns of obs with more to correct for.
    train
        Rows to train on: row numbers, a slice or a mask; None for all that are not in ``validation``.
    validation
        Rows to validate on; None for none.
    batch_size
        Cells in a batch, at least 2: scvi-tools normalises over the cells of a batch.
    block_size, fetch_factor
        Neighbouring cells that are read together, and batches that are read and shuffled together; see
        `BlockShuffling` and `scDataset`.
    num_workers
        Worker processes of each loader. The threads of this process, 0, are the fastest.
    seed
        Seed of the order of training; None draws one from torch's default generator, so that ``scvi.settings.seed``
        repeats it.
    check_values
        Whether to refuse values that are no counts, by a sample of the cells.

    Attributes
    ----------
    n_obs, n_train, n_val
        Number of cells of both splits, and of each.
    train_idx, val_idx
        Rows of each split, ascending; after training the model has them as ``train_indices`` and
        ``validation_indices``.
    registry
        Description of the data, to make a model of.
    n_vars, n_batch, n_labels
        Number of genes, batches and labels, without the unlabelled category.

    Raises
    ------
    MissingDependencyError
        If scvi-tools is not installed, or too old.
    ArgumentTypeError, ArgumentValueError
        If values are no counts, there is no such column, a batch or a covariate is missing, a label differs from
        ``unlabeled_category`` by upper and lower case alone, or there are too few cells to train on.

    Notes
    -----
    Every batch has float32 counts of shape ``(batch_size, n_vars)``, and codes and covariates. SCANVI gets pairs of
    batches, all cells and labelled ones, which it needs to train its classifier. Where the last batch of training would
    have one cell, a cell is left out.

    Results of a trained model come with ``dataloader=module.inference_dataloader()``: the latent representation, ELBO,
    reconstruction error, marginal likelihood, normalised expression, parameters of the likelihood, samples of the
    posterior, and predicted labels.

    Without AnnData in memory, scvi-tools cannot

    - choose the number of epochs of SCANVI: give ``max_epochs``;
    - take ``train_size``, ``validation_size`` and ``batch_size`` in ``train``: they have no effect;
    - save without the module, ``model.save(folder, datamodule=module)``, and so no checkpoints while it trains;
    - load as it is: write ``SCVI.load(folder, adata=False)`` and ``SCANVI.load(folder, datamodule=module)``;
    - model sizes of libraries, ``use_observed_lib_size=False``, or ``dispersion="gene-label"``;
    - compute ``get_feature_correlation_matrix``, ``minify_adata``, ``view_anndata_setup``, and in 1.4.2 also
      ``differential_expression``, ``differential_abundance`` and ``predict(soft=True)``;
    - in 1.4.2, load a model that was made with arguments of its module, such as ``encode_covariates``;
    - map new batches onto a trained model with ``load_query_data``, which counts on its own codes of batches.

    Examples
    --------
    >>> cells = open_collection("atlas.h5ad", genes=hvg)  # doctest: +SKIP
    >>> module = ScviDataModule(cells, batch_key="donor", labels_key="cell_type")  # doctest: +SKIP
    >>> scvi_model = scvi.model.SCVI(registry=module.registry)  # doctest: +SKIP
    >>> scvi_model.train(datamodule=module)  # doctest: +SKIP
    >>> latent = scvi_model.get_latent_representation(dataloader=module.inference_dataloader())  # doctest: +SKIP
    >>> model = scvi.model.SCANVI.from_scvi_model(scvi_model, "Unknown", datamodule=module)  # doctest: +SKIP
    >>> model.train(max_epochs=20, datamodule=module)  # doctest: +SKIP
    >>> labels = model.predict(dataloader=module.inference_dataloader())  # doctest: +SKIP
    """

    def __init__(
        self,
        cells: object,
        *,
        batch_key: str | None = None,
        labels_key: str | None = None,
        unlabeled_category: str = "Unknown",
        categorical_covariate_keys: Sequence[str] | None = None,
        continuous_covariate_keys: Sequence[str] | None = None,
        train: ArrayLike | None = None,
        validation: ArrayLike | None = None,
        batch_size: int = 128,
        block_size: int = 16,
        fetch_factor: int = 64,
        num_workers: int = 0,
        seed: int | None = None,
        check_values: bool = True,
    ) -> None:
        super().__init__()
        self.cells = _checked_cells(cells, check_values=flag("check_values", check_values))
        self.batch_size = whole("batch_size", batch_size, minimum=2)
        self.num_workers = whole("num_workers", num_workers, minimum=0)
        self._block_size = whole("block_size", block_size, minimum=1)
        self._fetch_factor = whole("fetch_factor", fetch_factor, minimum=1)
        self._seed = optional_whole("seed", seed, minimum=0)
        _key("unlabeled_category", unlabeled_category, may_be_absent=False)
        self.unlabeled_category = unlabeled_category if labels_key is not None else None
        self._columns = ScviColumns.from_frame(
            self.cells,
            _key("batch_key", batch_key),
            _key("labels_key", labels_key),
            unlabeled_category,
            optional_names("categorical_covariate_keys", categorical_covariate_keys) or [],
            optional_names("continuous_covariate_keys", continuous_covariate_keys) or [],
        )
        self._train, self._validation = _splits(self.cells, train, validation)
        self._columns.refuse_missing(self._train | self._validation)
        self._labelled = self._columns.labelled
        _refuse_few(self.n_train, int((self._train & self._labelled).sum()))

    @property
    def n_obs(self) -> int:
        """Number of cells to train on and to validate on; SCVI finds a number of epochs by it."""
        return int((self._train | self._validation).sum())

    @property
    def n_train(self) -> int:
        """Number of cells to train on."""
        return int(self._train.sum())

    @property
    def n_val(self) -> int:
        """Number of cells to validate on."""
        return int(self._validation.sum())

    @property
    def train_idx(self) -> NDArray[np.int64]:
        """Rows to train on, ascending, shape ``(n_train,)``."""
        return np.flatnonzero(self._train)

    @property
    def val_idx(self) -> NDArray[np.int64]:
        """Rows to validate on, ascending, shape ``(n_val,)``."""
        return np.flatnonzero(self._validation)

    @property
    def registry(self) -> dict[str, object]:
        """Description of the data, for ``SCVI(registry=module.registry)``; a new one each time, as models keep it."""
        return self._columns.registry(self.n_obs, self.cells.var_names, _INSTALLED)

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return self.cells.n_vars

    @property
    def n_batch(self) -> int:
        """Number of batches."""
        return len(self.batch_labels)

    @property
    def n_labels(self) -> int:
        """Number of labels, without the unlabelled category."""
        return self._columns.n_labels

    @property
    def n_samples(self) -> int:
        """Number of samples, which SCVI and SCANVI do not model."""
        return 0

    @property
    def batch_labels(self) -> Array:
        """Names of the batches, in the order of their codes."""
        return self._columns.batch.categories

    @property
    def label_keys(self) -> list[str] | None:
        """The column of labels, for ``save``."""
        given = self._columns.labels.given
        return None if given is None else [given]

    @property
    def labels_(self) -> Array:
        """Each label once, the unlabelled category last: SCANVI saves them with the model.

        Raises
        ------
        ArgumentValueError
            If there are none.
        """
        if self._columns.unlabeled is None:
            message = "SCANVI needs labels; give ScviDataModule(..., labels_key=...), a column of obs."
            raise ArgumentValueError(message)
        return self._columns.labels.categories

    def train_dataloader(self) -> object:
        """Return the loader of training, for SCANVI of pairs: a batch of all cells, and one of labelled cells."""
        return self._paired(self._train, self._shuffled)

    def val_dataloader(self) -> object:
        """Return the loader of validation, an empty list for none."""
        return self._paired(self._validation, self._in_order) if self.n_val else []

    def inference_dataloader(self, indices: ArrayLike | None = None, batch_size: int | None = None) -> object:
        """Return batches of cells in the order of the collection, for ``dataloader=`` of a model.

        Parameters
        ----------
        indices
            Rows, ascending, or a mask; None for all. ``model.validation_indices`` are those of validation.
        batch_size
            Cells in a batch; None for that of training.

        Raises
        ------
        ArgumentValueError
            If rows do not ascend, or a batch or covariate is missing in one.
        """
        rows: Any = slice(None)
        if indices is not None:
            rows = _ascending(self.cells.rows_of(indices))
        self._columns.refuse_missing(rows)
        size = self.batch_size if batch_size is None else whole("batch_size", batch_size, minimum=1)
        return self._loader(Streaming(None if indices is None else rows), size, rank=0, world_size=1)

    def _paired(self, rows: NDArray[np.bool_], loader: Callable[[NDArray[np.bool_]], object]) -> object:
        """Return a loader of cells; for SCANVI with labelled cells beside them, several rounds of them if need be."""
        labelled = rows & self._labelled
        if not (self._trains_classifier and labelled.any()):
            return loader(rows)
        return CombinedLoader([loader(rows), loader(labelled)], "max_size_cycle")

    @property
    def _trains_classifier(self) -> bool:
        """Whether the model that is being trained is SCANVI; SCVI takes no pairs."""
        from scvi.train import SemiSupervisedTrainingPlan  # noqa: PLC0415 takes seconds

        return self.trainer is not None and isinstance(self.trainer.lightning_module, SemiSupervisedTrainingPlan)

    def _shuffled(self, rows: NDArray[np.bool_]) -> object:
        """Return a loader of training whose last batch has more than one cell."""
        indices = np.flatnonzero(rows)
        if indices.size % self.batch_size == 1:  # with drop_last, ranks could be left without a batch
            indices = indices[:-1]
        return self._loader(BlockShuffling(self._block_size, indices=indices), self.batch_size, seed=self._seed)

    def _in_order(self, rows: NDArray[np.bool_]) -> object:
        return self._loader(Streaming(np.flatnonzero(rows)), self.batch_size)

    def _loader(self, strategy: SamplingStrategy, batch_size: int, **options: Any) -> object:
        dataset = scDataset(
            self.cells, strategy, batch_size, self._fetch_factor, batch_transform=ToScvi(self._columns), **options
        )
        return DataLoader(dataset, batch_size=None, num_workers=self.num_workers) if self.num_workers else dataset


def _checked_cells(cells: object, *, check_values: bool) -> CellCollection:
    """Return the collection if it can be modelled."""
    if not isinstance(cells, CellCollection):
        message = (
            f"cells is of type {type(cells).__name__}; give a collection of one modality that open_collection opened."
        )
        raise ArgumentTypeError(message)
    kind = cells.value_kind() if check_values else None
    if kind is not None and kind.kind != "counts":
        message = (
            f"ScviDataModule needs counts, and the values are {kind} Counts are often kept as "
            'open_collection(..., layer="raw") or layer="counts"; check_values=False takes these values as they are.'
        )
        raise ArgumentValueError(message)
    return cells


def _key(name: str, value: str | None, *, may_be_absent: bool = True) -> str | None:
    if not (isinstance(value, str) or (value is None and may_be_absent)):
        allowed = "the name of a column of obs, or None" if may_be_absent else "a label"
        message = f"{name}={value!r} is of type {type(value).__name__}; give {allowed}."
        raise ArgumentTypeError(message)
    return value


def _splits(
    cells: CellCollection, train: ArrayLike | None, validation: ArrayLike | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which cells are in the two splits, each of shape ``(n_obs,)``."""
    held_out = np.zeros(cells.n_obs, bool) if validation is None else _mask(cells, validation)
    if train is None:
        return ~held_out, held_out
    chosen = _mask(cells, train)
    n_shared = int((chosen & held_out).sum())
    if n_shared:
        warn(
            f"train and validation share {counted(n_shared, 'cell')}, so that validation says too good things of the "
            "model."
        )
    return chosen, held_out


def _mask(cells: CellCollection, rows: slice | ArrayLike) -> NDArray[np.bool_]:
    mask = np.zeros(cells.n_obs, bool)
    mask[cells.rows_of(rows)] = True
    return mask


def _ascending(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    if not np.all(rows[1:] > rows[:-1]):
        message = "indices do not ascend, and results come in the order of the collection; give np.unique(indices)."
        raise ArgumentValueError(message)
    return rows


def _refuse_few(n_train: int, n_labelled: int) -> None:
    """Raise if training would have batches of one cell."""
    if n_train < 2 or n_labelled == 1:
        message = (
            f"train has {counted(n_train, 'cell')}, of which {n_labelled:,} with a label; give at least 2, and none or "
            "at least 2 with a label: scvi-tools normalises over the cells of a batch."
        )
        raise ArgumentValueError(message)

"""CellDataModule: cells in files, or any other collection, as a data module of Lightning."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scdataset._arguments import nearest, one_of
from scdataset._tables import counted, verb
from scdataset._types import Array
from scdataset.dataset import scDataset
from scdataset.errors import ArgumentValueError, CollectionError
from scdataset.integrations.lightning_hosts import base_of
from scdataset.integrations.lightning_loader import CellLoader
from scdataset.integrations.lightning_settings import SPLITS, TENSORS, LightningSettings
from scdataset.integrations.lightning_stats import StatsLogger
from scdataset.integrations.numbered import Numbered
from scdataset.integrations.splits import REST, Split, splits_of
from scdataset.strategy import Streaming

__all__ = ["CellDataModule", "StatsLogger"]

_DISJOINT = ("train", "val", "test")
_STAGES = ("fit", "validate", "test", "predict")


_DataModule: Any = base_of("LightningDataModule")


class CellDataModule(_DataModule):  # type: ignore[misc]  # typed by the package that is installed
    """Loaders of one collection for training, validation, test and prediction.

    Parameters
    ----------
    collection
        Path of a file or folder of cells, or a list or dict of paths, which `open_collection` opens when they are
        needed; or anything that `scDataset` takes. With paths, the hyperparameters in a checkpoint are small.
    train, val, test, predict
        Which cells: row numbers, a boolean mask, or names; a function of obs, as in ``collection.where``; columns of
        obs and their values, or files, as in ``collection.holdout``: ``{"donor": ["D3"]}``,
        ``{"files": ["plate_9.h5ad"]}``; ``"all"``; or None for none. ``train="rest"`` takes those that are neither in
        val nor in test.
    label
        Column of obs with the class of each cell, which is in every batch.
    batch_size, fetch_factor, drop_last, seed, prefetch
        As in `scDataset`. Only training drops a last batch.
    eval_batch_size
        Rows in a batch of validation, test and prediction; None for ``batch_size``.
    block_size
        Rows in a block of `BlockShuffling`, the strategy of training.
    strategy
        Another strategy of training: one without indices, which are set to the cells of ``train``, or a function that
        is called as ``strategy(indices=indices)``.
    fetch_transform
        As in `scDataset`.
    batch_transform
        As in `scDataset`; ``"tensors"`` is `ToTorch`, which in prediction lets missing labels be -1.
    row_key
        Name under which batches of prediction have the row number of each cell, int64; None for none.
    uneven_ranks
        Let some devices have one batch more in validation and test, rather than repeat batches; a model that waits for
        all devices in each step would then wait for ever. In prediction it is always so.
    num_workers
        Worker processes of each loader. 0 is fastest for files that `open_collection` reads.
    loader_options
        Further arguments of torch's ``DataLoader`` where there are workers, such as ``{"persistent_workers": True}``.
    open_options
        Arguments of `open_collection` where paths are given, such as ``{"genes": genes}``.
    resume_ignore
        Fields that may differ where a checkpoint is loaded, as in `scDataset.load_state_dict`: ``("collection",)``
        for files that have moved.

    Attributes
    ----------
    batch_size
        As given; assigned, it holds for loaders that are made afterwards.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        For arguments of the wrong type or value.

    Notes
    -----
    A checkpoint of the Trainer has the place in the epoch, and ``trainer.fit(..., ckpt_path=...)`` goes on with the
    batches that were not trained on, on the same number of devices and workers or another. Validation comes in the
    order of the collection, with the same random numbers in transforms each time.

    Arguments are saved as hyperparameters if torch's ``weights_only`` loader takes them, so that
    ``CellDataModule.load_from_checkpoint(path)`` works; it asks for others, such as transforms.

    Examples
    --------
    >>> data = CellDataModule("atlas.h5ad", val={"donor": ["D3"]}, label="cell_type")  # doctest: +SKIP
    >>> Trainer(max_epochs=2).fit(Classifier(), datamodule=data)  # doctest: +SKIP
    """

    allow_zero_length_dataloader_with_multiple_devices = True  # prediction has fewer batches than devices, perhaps

    def __init__(
        self,
        collection: object,
        *,
        train: object = REST,
        val: object = None,
        test: object = None,
        predict: object = None,
        label: str | None = None,
        batch_size: int = 64,
        eval_batch_size: int | None = None,
        fetch_factor: int = 16,
        block_size: int = 16,
        strategy: object = None,
        fetch_transform: object = None,
        batch_transform: object = TENSORS,
        drop_last: bool = False,
        seed: int | None = None,
        prefetch: int = 1,
        uneven_ranks: bool = False,
        row_key: str | None = "row",
        num_workers: int = 0,
        loader_options: Mapping[str, object] | None = None,
        open_options: Mapping[str, object] | None = None,
        resume_ignore: Sequence[str] = (),
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()
        self._settings = LightningSettings(**given)
        self.batch_size = batch_size
        self._opened: object = None
        self._splits: dict[str, Split] = {}
        self._loaders: dict[str, CellLoader] = {}
        for name, value in self._settings.plain().items():
            self.hparams.setdefault(name, value)  # a subclass may have saved an argument of that name before

    @property
    def collection(self) -> Any:
        """The open collection."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Any:
        settings = self._settings
        if settings.paths is None:
            return settings.collection
        from scdataset import open_collection  # noqa: PLC0415 it needs anndata and h5py, which other collections do not

        return open_collection(settings.paths, **settings.opening())

    @property
    def var_names(self) -> object:
        """Names of the genes, a pandas Index."""
        names = getattr(self.collection, "var_names", None)
        if names is None:
            message = (
                f"A {type(self.collection).__name__} has no names of genes; cells of one modality or AnnData have."
            )
            raise CollectionError(message)
        return names

    @property
    def classes(self) -> list[object]:
        """The classes of ``label``, in the order of the codes in batches."""
        label = self._settings.label
        if label is None:
            message = "There are no classes without a label; give label=, the column of obs that has them."
            raise ArgumentValueError(message)
        known: Mapping[str, Array] = getattr(self.collection, "categories", {})
        if label not in known:
            message = (
                f"label={label!r} is no column of labels in batches of this collection{nearest(label, known)} Classes "
                "are categories or strings of obs; an open collection has those of open_collection(..., obs=[...])."
            )
            raise ArgumentValueError(message)
        classes: list[object] = known[label].tolist()
        return classes

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def class_weights(self) -> torch.Tensor:
        """Weights that balance the classes of the training cells, for a loss: float32, shape ``(n_classes,)``.

        A class weighs ``n_cells / (n_classes * n_cells_of_the_class)``, counted over cells with a label and classes
        that have some; other classes weigh 0.
        """
        n_classes = self.n_classes
        codes = self._codes(self.split("train"))
        counts = np.bincount(codes[codes >= 0], minlength=n_classes)
        present = counts > 0
        weights = np.zeros(n_classes, np.float32)
        weights[present] = counts.sum() / (present.sum() * counts[present])
        return torch.from_numpy(weights)

    def _codes(self, rows: NDArray[np.int64]) -> Array:
        codes: Array = self.collection.obs[self._settings.label].cat.codes.to_numpy()
        return codes[rows]

    def split(self, name: str) -> NDArray[np.int64]:
        """Return the rows of a split, ascending: of ``"train"``, ``"val"``, ``"test"`` or ``"predict"``."""
        return self._split(name).rows

    def _split(self, name: str) -> Split:
        one_of("split", name, SPLITS)
        self._find_splits()
        if name not in self._splits:
            message = (
                f"{type(self).__name__} has no cells for {name}; it was made with {name}=None. Give {name}= row "
                'numbers, a function of obs, columns and values, or "all".'
            )
            raise ArgumentValueError(message)
        return self._splits[name]

    def _find_splits(self) -> None:
        if self._splits:
            return
        wanted = {name: getattr(self._settings, name) for name in SPLITS}
        splits = splits_of(self.collection, wanted, _DISJOINT)
        if self._settings.label is not None:
            _ = self.classes
            if self._settings.makes_tensors:
                self._refuse_missing_labels(splits)
        self._splits = splits

    def _refuse_missing_labels(self, splits: Mapping[str, Split]) -> None:
        """Raise if cells lack a label which the default transform would refuse in the middle of an epoch."""
        label = self._settings.label
        missing_labels = self._codes(np.arange(len(self.collection))) == -1
        for name in _DISJOINT:
            n_missing = int(np.count_nonzero(splits[name].mask & missing_labels)) if name in splits else 0
            if n_missing:
                message = (
                    f"{counted(n_missing, 'cell')} of {name} {verb(n_missing, 'have')} no {label!r}. Leave them out, "
                    f"such as {name}=lambda obs: obs[{label!r}].notna(), or say what they become: "
                    "batch_transform=ToTorch(missing_label=-100) is what torch's CrossEntropyLoss ignores."
                )
                raise ArgumentValueError(message)

    def setup(self, stage: str | None = None) -> None:
        """Open the files and find the cells of each split, once; no values are read.

        Training begins anew, in the epoch of the Trainer, unless a checkpoint is loaded after this.
        """
        if stage is not None:
            one_of("stage", stage, _STAGES)
        self._find_splits()
        if stage in (None, "fit"):
            self._loaders.pop("train", None)

    def train_dataloader(self) -> CellLoader:
        """Return the loader of training."""
        return self._loader("train")

    def val_dataloader(self) -> CellLoader | list[CellLoader]:
        """Return the loader of validation, or an empty list if a model is fitted without."""
        self._find_splits()
        return [] if self._fits and "val" not in self._splits else self._loader("val")

    @property
    def _fits(self) -> bool:
        return self.trainer is not None and self.trainer.state.fn == "fit"

    def test_dataloader(self) -> CellLoader:
        """Return the loader of test."""
        return self._loader("test")

    def predict_dataloader(self) -> CellLoader:
        """Return the loader of prediction, in the order of the collection."""
        return self._loader("predict")

    def _loader(self, name: str) -> CellLoader:
        loader = self._loaders.get(name)
        batch_size = self._batch_size(name)
        if loader is None or loader.trainer is not self.trainer or loader.source.batch_size != batch_size:
            loader = self._loaders[name] = self._made(name, batch_size)
        return loader

    def _batch_size(self, name: str) -> int:
        size = self._settings.eval_batch_size
        return self.batch_size if name == "train" or size is None else size

    def _made(self, name: str, batch_size: int) -> CellLoader:
        settings, split, trains = self._settings, self._split(name), name == "train"
        transform = settings.transform_of(name)
        if name == "predict" and settings.row_key is not None:
            transform = Numbered(transform, settings.row_key)
        dataset = scDataset(
            self.collection,
            settings.training_strategy(split.indices) if trains else Streaming(split.indices),
            batch_size,
            settings.fetch_factor,
            drop_last=trains and settings.drop_last,
            fetch_transform=settings.fetch_transform,
            batch_transform=transform,
            seed=settings.seed if trains or settings.seed is not None else 0,
            prefetch=settings.prefetch,
            uneven_ranks=name == "predict" or (not trains and settings.uneven_ranks),
        )
        options = {"num_workers": settings.num_workers, **(settings.loader_options or {})}
        loader = CellLoader(
            dataset, options=options, trains=trains, trainer=self.trainer, ignore=settings.resume_ignore
        )
        if trains and self.trainer is not None:
            loader.set_epoch(self.trainer.current_epoch)
        return loader

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the training data, for a checkpoint; nothing before any training."""
        return {"train": self._loaders["train"].state_dict()} if "train" in self._loaders else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the state of a checkpoint, unless it is loaded for its weights, to validate, test or predict."""
        if "train" in state_dict and (self.trainer is None or self._fits):
            self._loader("train").load_state_dict(state_dict["train"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings.shown()})"

    __str__ = __repr__  # that of Lightning would iterate over the loaders

    def __getstate__(self) -> dict[str, object]:
        # Loaders belong to the process that made them: a launched one makes its own, in its process group.
        return {**self.__dict__, "_loaders": {}}

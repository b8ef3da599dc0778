"""The arguments of CellDataModule: checked when they are given, and as a checkpoint holds them."""

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from scdataset._arguments import flag, hook, optional_whole, whole
from scdataset._types import Array, Json
from scdataset.dataset.state import IGNORABLE
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.integrations.splits import check_split
from scdataset.strategy import BlockShuffling, SamplingStrategy
from scdataset.strategy.keys import MAX_SEED
from scdataset.transforms import ToTorch

__all__ = ["SPLITS", "TENSORS", "LightningSettings"]

SPLITS = ("train", "val", "test", "predict")

TENSORS = "tensors"

_NOT_SAVED = "not saved: "
"""How an argument begins in a checkpoint that cannot hold it."""

_MINIMA = {"batch_size": 1, "fetch_factor": 1, "block_size": 1, "prefetch": 0, "num_workers": 0}

_WORKER_OPTIONS = ("dataset", "batch_size", "num_workers", "shuffle", "sampler", "batch_sampler", "drop_last")
"""Arguments of torch's DataLoader that are not the user's to give."""


@dataclass(frozen=True, eq=False)
class LightningSettings:
    """The arguments of `CellDataModule`, which describes them."""

    collection: object
    train: object
    val: object
    test: object
    predict: object
    label: str | None
    batch_size: int
    eval_batch_size: int | None
    fetch_factor: int
    block_size: int
    strategy: SamplingStrategy | Callable[..., SamplingStrategy] | None
    fetch_transform: Callable[..., object] | None
    batch_transform: Callable[..., object] | str | None
    drop_last: bool
    seed: int | None
    prefetch: int
    uneven_ranks: bool
    row_key: str | None
    num_workers: int
    loader_options: Mapping[str, object] | None
    open_options: Mapping[str, Any] | None
    resume_ignore: Sequence[str]

    def __post_init__(self) -> None:
        for field in fields(self):
            _refuse_unsaved(field.name, getattr(self, field.name))
        if self.collection is None or isinstance(self.collection, (bool, int, float)):
            message = (
                f"collection={self.collection!r}; give the path of a file of cells, a list of paths, or a collection."
            )
            raise ArgumentTypeError(message)
        for name in SPLITS:
            check_split(name, getattr(self, name))
        for name, minimum in _MINIMA.items():
            whole(name, getattr(self, name), minimum=minimum)
        optional_whole("eval_batch_size", self.eval_batch_size, minimum=1)
        optional_whole("seed", self.seed, minimum=0, maximum=MAX_SEED)
        flag("drop_last", self.drop_last)
        flag("uneven_ranks", self.uneven_ranks)
        _check_name("label", self.label)
        _check_name("row_key", self.row_key)
        hook("fetch_transform", self.fetch_transform)
        if not self.makes_tensors:
            _check_batch_transform(self.batch_transform)
        _check_strategy(self.strategy)
        self._check_options()

    def _check_options(self) -> None:
        _check_mapping("loader_options", self.loader_options)
        _check_mapping("open_options", self.open_options)
        ours = sorted(set(self.loader_options or ()) & set(_WORKER_OPTIONS))
        if ours:
            message = f"loader_options has {ours}, which are not its own; give batch_size and num_workers beside it."
            raise ArgumentValueError(message)
        if self.loader_options and not self.num_workers:
            message = f"loader_options={self.loader_options!r} with num_workers=0, which has no loader; leave it out."
            raise ArgumentValueError(message)
        if self.open_options and self.paths is None:
            message = f"open_options={self.open_options!r} with a collection that is open; give its paths instead."
            raise ArgumentValueError(message)
        ignore = self.resume_ignore
        if not isinstance(ignore, (list, tuple)) or any(name not in IGNORABLE for name in ignore):
            message = f'resume_ignore={ignore!r}; give a list of "collection" and "strategy", or an empty one.'
            raise ArgumentValueError(message)

    @property
    def paths(self) -> Any:
        """The paths to open, or None where the collection is open already."""
        given = self.collection
        several = (
            isinstance(given, (list, tuple)) and given and all(isinstance(one, (str, os.PathLike)) for one in given)
        )
        return given if several or isinstance(given, (str, os.PathLike)) else None

    @property
    def makes_tensors(self) -> bool:
        """Whether batches go through `ToTorch`, since no other transform was given."""
        return isinstance(self.batch_transform, str) and self.batch_transform == TENSORS

    def opening(self) -> dict[str, Any]:
        """Return the arguments of `open_collection`, with the label among the columns of batches."""
        options = dict(self.open_options or {})
        obs = options.get("obs", ())
        obs = [obs] if isinstance(obs, str) else list(obs)
        if self.label is not None and self.label not in (*obs, options.get("label")):
            options["obs"] = [*obs, self.label]
        return options

    def training_strategy(self, indices: Array | None) -> SamplingStrategy:
        """Return the strategy of training over these cells."""
        if self.strategy is None:
            return BlockShuffling(self.block_size, indices)
        if not isinstance(self.strategy, SamplingStrategy):
            return _called(self.strategy, indices)
        strategy = copy.copy(self.strategy)
        if indices is not None:
            strategy.indices = indices
        return strategy

    def transform_of(self, split: str) -> Callable[..., object] | None:
        """Return the batch transform of a split."""
        if not self.makes_tensors:
            return self.batch_transform  # type: ignore[return-value]  # checked above
        return ToTorch(missing_label=-1) if split == "predict" else ToTorch()

    def shown(self) -> str:
        """Return the arguments that tell one module from another, as they are written."""
        names = ("collection", *SPLITS, "label", "batch_size")
        plain = {name: _plain(getattr(self, name)) for name in names}
        notes = {
            name: value for name, value in plain.items() if isinstance(value, str) and value.startswith(_NOT_SAVED)
        }
        shown = {name: f"<{value.removeprefix(_NOT_SAVED)}>" for name, value in notes.items()}
        return ", ".join(f"{name}={shown.get(name, repr(value))}" for name, value in plain.items())

    def plain(self) -> Json:
        """Return the arguments as a checkpoint holds them, those that it cannot hold by a note."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _called(strategy: Callable[..., object], indices: Array | None) -> SamplingStrategy:
    """Return the strategy that a function makes."""
    try:
        made = strategy(indices=indices)
    except TypeError as error:
        message = f"strategy={strategy!r} was called with indices=... and failed: {error}"
        raise ArgumentTypeError(message) from error
    if not isinstance(made, SamplingStrategy):
        message = f"strategy={strategy!r} returned {made!r}; it has to return a SamplingStrategy."
        raise ArgumentTypeError(message)
    return made


def _refuse_unsaved(name: str, value: object) -> None:
    if isinstance(value, str) and value.startswith(_NOT_SAVED):
        kind = value.removeprefix(_NOT_SAVED)
        message = (
            f"{name} was of type {kind}, which the checkpoint does not hold; call "
            f"load_from_checkpoint(path, {name}=...)."
        )
        raise ArgumentValueError(message)


def _plain(value: object) -> object:
    """Return a value that torch's ``weights_only`` loader takes, or a note in place of one that it does not."""
    try:
        return _plainly(value)
    except TypeError:
        return f"{_NOT_SAVED}{type(value).__qualname__}"


def _plainly(value: Any) -> object:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return _plainly(value.item())
    if type(value) in (list, tuple):
        return [_plainly(one) for one in value]
    if type(value) is dict:
        return {_plainly(key): _plainly(one) for key, one in value.items()}
    raise TypeError


def _check_name(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        message = f"{name}={value!r} is of type {type(value).__name__}; give a name, or None."
        raise ArgumentTypeError(message)


def _check_mapping(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        message = f"{name}={value!r} is of type {type(value).__name__}; give a dict of arguments by name, or None."
        raise ArgumentTypeError(message)


def _check_batch_transform(value: Callable[..., object] | str | None) -> None:
    if isinstance(value, str):
        message = (
            f'batch_transform={value!r} is not known; give "tensors", a function, or None for batches as they are read.'
        )
        raise ArgumentValueError(message)
    hook("batch_transform", value)


def _check_strategy(strategy: object) -> None:
    if isinstance(strategy, SamplingStrategy) and strategy.indices is not None:
        message = (
            f"strategy={strategy!r} has indices of its own, which train would replace; give them as train=..., and the "
            "strategy without."
        )
        raise ArgumentValueError(message)
    if strategy is not None and not isinstance(strategy, SamplingStrategy) and not callable(strategy):
        message = (
            f"strategy={strategy!r} is of type {type(strategy).__name__}; give a SamplingStrategy, a function that is "
            "called with indices=..., or None for BlockShuffling."
        )
        raise ArgumentTypeError(message)

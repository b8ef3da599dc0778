"""A dataset in the training function of Ray Train: its rank, its threads, and its place in checkpoints.

prepare ──► restore ──► for batch in dataset: ... report ──► Ray's checkpoint
               ▲                                                    │
               └──── other workers, as many or more or fewer ◄──────┘
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch.nn.parallel import DistributedDataParallel

from scdataset._arguments import nearest
from scdataset.dataset import scDataset
from scdataset.errors import ArgumentTypeError, StateError
from scdataset.integrations.ray.nodes import check_visible, naming_node, use_assigned_cpus
from scdataset.integrations.ray.versions import ray_library

__all__ = ["prepare", "report", "restore"]

_STATE = "scdataset.json"
"""File of a checkpoint that has the dataset's state."""


@runtime_checkable
class _HasState(Protocol):
    """A model, an optimizer, a scheduler, or anything else that is saved and restored as those are."""

    def state_dict(self) -> object: ...

    def load_state_dict(self, state_dict: Any) -> object: ...


def prepare(dataset: scDataset | Callable[[], scDataset]) -> scDataset:
    """Return a dataset that yields this worker's part; to be called by every worker, in the training function.

    Rank and number of workers are those of ``ray.train.get_context()``, whatever the backend. Files are read with as
    many threads as Ray assigned CPUs to the worker. Without a seed, all workers go by that of the first.

    Parameters
    ----------
    dataset
        A function that opens the files and makes the dataset, which is called here; or a dataset that was made in the
        training function. One that came from another node does not know its files again.

    Returns
    -------
    scDataset
        The dataset, for a bare loop or a ``DataLoader(dataset, batch_size=None, num_workers=k)``.

    Raises
    ------
    ArgumentTypeError
        If it is no dataset, or the function returned none.
    MissingDependencyError
        If Ray Train is missing or too old.
    MissingFileError, UnreadableFileError, UnreachableStoreError
        If a path leads nowhere on this node, or cannot be read; the message has both.

    Examples
    --------
    >>> def make():
    ...     return scDataset(open_collection("/shared/atlas"), BlockShuffling(16), batch_size=64, seed=0)
    >>> def train(config):
    ...     dataset = prepare(make)
    ...     for epoch in range(restore(dataset, model=model), 10):
    ...         for taken, batch in enumerate(dataset, start=1):
    ...             loss = step(model, batch)
    ...             if taken % 1000 == 0:
    ...                 report({"loss": loss}, dataset, model=model)
    >>> TorchTrainer(train, scaling_config=ScalingConfig(num_workers=8)).fit()  # doctest: +SKIP
    """
    train = _ray_train()
    collective = ray_library("ray.train.collective", _NEEDED_FOR)
    context = train.get_context()
    use_assigned_cpus()
    made = dataset if isinstance(dataset, scDataset) else _made(dataset)
    check_visible(_files_of(made.collection))
    made.join_world(context.get_world_rank(), context.get_world_size(), collective.broadcast_from_rank_zero)
    return made


def report(
    metrics: Mapping[str, object],
    dataset: scDataset,
    batches: int | None = None,
    *,
    folder: str | Path | None = None,
    **objects: _HasState,
) -> None:
    """Report metrics to Ray with a checkpoint: the dataset's place in the epoch, and the state of a model.

    All workers call it after the same number of batches. The first one writes, the others wait for it.

    Parameters
    ----------
    metrics
        Numbers by name, as in ``ray.train.report``.
    dataset
        The dataset that `prepare` returned.
    batches
        Batches that were taken from the loader since its epoch began, as in `scDataset.state_dict`; None in a bare
        loop over the dataset.
    folder
        Keyword only. A folder of this worker with more files for the checkpoint, such as those of a model that is
        divided among workers; Ray puts the files of all workers together. None for none.
    objects
        By name, what is saved as the dataset is: ``model=model, optimizer=optimizer``. Of a model in
        ``DistributedDataParallel`` the model inside is saved, for any number of workers.

    Raises
    ------
    ArgumentTypeError
        If an object has no ``state_dict``.
    ArgumentValueError
        If DataLoader workers iterate and ``batches`` is not given, or is more than there are.

    Examples
    --------
    >>> report({"loss": 0.2}, dataset, taken, model=model, optimizer=optimizer)  # doctest: +SKIP
    """
    train = _ray_train()
    state = dataset.state_dict(batches)
    saved = {name: _inner(name, value) for name, value in objects.items()}
    with ExitStack() as stack:
        writes = train.get_context().get_world_rank() == 0
        if folder is None and writes:
            folder = stack.enter_context(TemporaryDirectory())
        if writes:
            _write(Path(cast("str | Path", folder)), state, saved)
        checkpoint = None if folder is None else train.Checkpoint.from_directory(folder)
        train.report(dict(metrics), checkpoint=checkpoint)


def restore(dataset: scDataset, *, ignore: Sequence[str] = (), **objects: _HasState) -> int:
    """Go on from Ray's last checkpoint, if there is one, with this number of workers.

    Parameters
    ----------
    dataset
        The dataset that `prepare` returned.
    ignore
        Keyword only. Fields that may differ, as in `scDataset.load_state_dict`: ``("collection",)`` for files that
        have moved.
    objects
        Those that were given to `report`, under their names.

    Returns
    -------
    int
        The epoch that comes next, or goes on: ``for epoch in range(restore(dataset, model=model), 10):``. Without a
        checkpoint nothing is done, and it is that of the dataset, 0 for a new one.

    Raises
    ------
    ArgumentTypeError
        If an object has no ``load_state_dict``.
    StateError
        If the checkpoint has no state of a dataset or of an object, or that of another dataset.

    Examples
    --------
    >>> restore(dataset, model=model, optimizer=optimizer)  # doctest: +SKIP
    3
    """
    checkpoint = _ray_train().get_checkpoint()
    inner = {name: _inner(name, value) for name, value in objects.items()}
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            files = {file.name: file for file in Path(folder).iterdir()}
            state = json.loads(_found(files, _STATE, checkpoint.path).read_text(encoding="utf-8"))
            dataset.load_state_dict(state, ignore=ignore)
            for name, value in inner.items():
                file = _found(files, _file_of(name), checkpoint.path)
                value.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    epoch: int = dataset.state_dict()["epoch"]
    return epoch


_NEEDED_FOR = "scdataset.integrations.ray"


def _ray_train() -> ModuleType:
    return ray_library("ray.train", _NEEDED_FOR)


def _made(make: object) -> scDataset:
    """Return the dataset that a function makes."""
    if not callable(make):
        message = (
            f"dataset={make!r} is of type {type(make).__name__}; give an scDataset, or a function that makes one. A "
            "DataLoader goes around the dataset that prepare returns."
        )
        raise ArgumentTypeError(message)
    with naming_node():
        made = make()
    if not isinstance(made, scDataset):
        message = f"{make!r} returned {made!r}; it has to return an scDataset."
        raise ArgumentTypeError(message)
    return made


def _files_of(collection: object) -> Sequence[str]:
    """Return the paths of an open collection; none of any other, which opens its files itself."""
    cells = sys.modules.get("scdataset.cells")
    is_open = cells is not None and isinstance(collection, (cells.CellCollection, cells.ModalityCollection))
    files: Sequence[str] = getattr(collection, "files", ()) if is_open else ()
    return files


def _inner(name: str, value: object) -> _HasState:
    """Return the object whose state is saved."""
    inner = value.module if isinstance(value, DistributedDataParallel) else value
    if not isinstance(inner, _HasState):
        message = (
            f"{name}={value!r} is of type {type(value).__name__}, which has no state_dict and load_state_dict; give a "
            "model, an optimizer or the like."
        )
        raise ArgumentTypeError(message)
    return inner


def _file_of(name: str) -> str:
    return f"{name}.pt"


def _write(folder: Path, state: Mapping[str, object], objects: Mapping[str, _HasState]) -> None:
    (folder / _STATE).write_text(json.dumps(state), encoding="utf-8")
    for name, value in objects.items():
        torch.save(value.state_dict(), folder / _file_of(name))


def _found(files: Mapping[str, Path], name: str, checkpoint: str) -> Path:
    if name not in files:
        message = f"The checkpoint {checkpoint} has no {name}, which report writes{nearest(name, files)}"
        raise StateError(message)
    return files[name]

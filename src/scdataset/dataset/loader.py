"""What the DataLoader around the dataset is up to: the only use of torch's private names."""

import sys
from collections.abc import Iterator

from scdataset.errors import LoaderError

__all__ = ["refuse_hosts_that_share_out_again"]

_SHARERS = ("IterableDatasetShard", "DataLoaderDispatcher")
"""Classes of Accelerate and transformers that deal out, or cut up, the batches that each rank yields."""


def refuse_hosts_that_share_out_again(world_size: int) -> None:
    """Raise if the iterator is being made for a loader that makes or shares out batches of its own out of ours.

    A DataLoader asks for the iterator in the constructor of a fetcher, whose ``auto_collation`` says so; nothing public
    does. To be called from ``__iter__``.
    """
    asking = sys._getframe(2).f_locals.get("self")  # noqa: SLF001
    if getattr(asking, "auto_collation", False) is True:
        message = (
            "The DataLoader would collect batches of scDataset into batches of batches; "
            "write DataLoader(dataset, batch_size=None, ...), since scDataset makes the batches itself."
        )
        raise LoaderError(message)
    if world_size > 1 and any(name in _SHARERS for name in _callers()):
        message = (
            "Accelerate would share out again what each rank has for itself already, so that most batches would be "
            "lost. Prepare model and optimizer, and use DataLoader(dataset, batch_size=None, ...) as it is; with the "
            "Trainer of transformers, return it from get_train_dataloader."
        )
        raise LoaderError(message)


def _callers() -> Iterator[str]:
    """Yield the names of the classes whose methods led here."""
    frame = sys._getframe(2).f_back  # noqa: SLF001
    while frame is not None:
        yield type(frame.f_locals.get("self")).__name__
        frame = frame.f_back

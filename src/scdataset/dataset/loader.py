"""Refuse DataLoader set-ups that would corrupt batches: the only use of torch's private names."""

import sys
from collections.abc import Iterator
from types import FrameType

from scdataset.errors import LoaderError

__all__ = ["has_own_collation", "refuse_hosts_that_share_out_again"]

_SHARERS = ("IterableDatasetShard", "DataLoaderDispatcher")
"""Classes of Accelerate and transformers that share out, or cut up, the batches that each rank yields."""

_COLLATING_SAMPLES = ("torch", "transformers")
"""Packages whose collations take lists of samples; anybody else's knows that it gets batches."""


def has_own_collation() -> bool:
    """Tell whether the iterator is being made for a loader that was given a ``collate_fn``.

    To be called from ``__iter__``.
    """
    return _collates_on_its_own(_asking(sys._getframe(2)))  # noqa: SLF001


def _collates_on_its_own(asking: object) -> bool:
    collate = getattr(asking, "collate_fn", None)
    module = getattr(collate, "__module__", None) or ""
    return collate is not None and module.partition(".")[0] not in _COLLATING_SAMPLES


def refuse_hosts_that_share_out_again(world_size: int) -> None:
    """Raise if the iterator is being made for a loader that makes or shares out batches of its own out of ours.

    A DataLoader asks for the iterator in the constructor of a fetcher, whose ``auto_collation`` says so; nothing public
    does. A ``collate_fn`` of the user's may have its lists of batches. To be called from ``__iter__``.
    """
    asking = _asking(sys._getframe(2))  # noqa: SLF001
    if getattr(asking, "auto_collation", False) is True and not _collates_on_its_own(asking):
        message = (
            "The DataLoader would collect batches of scDataset into batches of batches; write "
            "DataLoader(dataset, batch_size=None, ...), since scDataset makes the batches itself. To combine batches "
            "on purpose, give a collate_fn, which gets a list of them."
        )
        raise LoaderError(message)
    if world_size > 1 and any(name in _SHARERS for name in _callers()):
        message = (
            "Accelerate would share out again the batches that each rank has already, so that most batches would be "
            "lost. Prepare model and optimizer, and use DataLoader(dataset, batch_size=None, ...) as it is; with the "
            "Trainer of transformers, return it from get_train_dataloader."
        )
        raise LoaderError(message)


def _asking(frame: FrameType) -> object:
    """Return the object whose constructor asks for the iterator, if one does.

    The locals of another frame are not looked at: before Python 3.13 that keeps them all until its function returns,
    and a training loop could not free the variables it deletes.
    """
    return frame.f_locals.get("self") if frame.f_code.co_name == "__init__" else None


def _callers() -> Iterator[str]:
    """Yield the names of the classes whose methods led here."""
    frame = sys._getframe(2).f_back  # noqa: SLF001
    while frame is not None:
        yield frame.f_code.co_qualname.partition(".")[0]
        frame = frame.f_back

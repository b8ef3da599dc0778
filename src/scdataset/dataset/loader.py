"""What the DataLoader around the dataset is up to: the only use of torch's private names."""

import sys

from scdataset.errors import LoaderError

__all__ = ["refuse_batching_again"]


def refuse_batching_again() -> None:
    """Raise if the iterator is being made for a DataLoader that makes batches of its own out of ours.

    A DataLoader asks for the iterator in the constructor of a fetcher, whose ``auto_collation`` says so; nothing public
    does. To be called from ``__iter__``.
    """
    fetcher = sys._getframe(2).f_locals.get("self")  # noqa: SLF001
    if getattr(fetcher, "auto_collation", False) is True:
        message = (
            "The DataLoader would collect batches of scDataset into batches of batches; "
            "write DataLoader(dataset, batch_size=None, ...), since scDataset makes the batches itself."
        )
        raise LoaderError(message)

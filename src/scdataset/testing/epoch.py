"""Epochs of a dataset as lists of the content of each batch, read as a training loop would."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from torch.utils.data import DataLoader

from scdataset._tables import counted
from scdataset.dataset import scDataset
from scdataset.testing.content import content

__all__ = ["Make", "check_shared_out", "contents", "loader"]

Make = Callable[..., scDataset]
"""Makes a new dataset each time: ``make(rank=r, world_size=w)``, always with the same seed."""


def loader(dataset: scDataset, num_workers: int) -> Iterable[object]:
    """Return a loader over a dataset; without workers the dataset itself."""
    return dataset if num_workers == 0 else DataLoader(dataset, batch_size=None, num_workers=num_workers)


def contents(dataset: scDataset, num_workers: int = 0) -> Iterator[str]:
    """Yield the content of each batch of the next epoch."""
    return map(content, loader(dataset, num_workers))


def check_shared_out(found: Counter[str], dataset: scDataset, whole: Counter[str], worlds: list[int]) -> None:
    """Raise unless ``found`` is a whole epoch, less rows that may be dropped and plus those that may be repeated.

    Parameters
    ----------
    found
        How often each batch came, over all ranks.
    dataset
        Its ``drop_last`` and ``uneven_ranks`` count.
    whole
        How often each batch comes in the epoch of one process.
    worlds
        The world sizes that it went through, one after the other.
    """
    foreign = found.keys() - whole.keys()
    missing, repeated = (whole - found).total(), (found - whole).total()
    may_miss = worlds[-1] - 1 if dataset.drop_last and not dataset.uneven_ranks else 0
    may_repeat = 0 if dataset.drop_last or dataset.uneven_ranks else sum(size - 1 for size in worlds)
    if foreign or missing > may_miss or repeated > may_repeat:
        message = (
            f"{dataset!r} through {' then '.join(map(str, worlds))} ranks: of {counted(whole.total(), 'batch')} "
            f"{missing:,} are missing ({may_miss} may be), {repeated:,} came again ({may_repeat} may), and "
            f"{len(foreign):,} are none of them: their rows depend on the ranks."
        )
        raise AssertionError(message)

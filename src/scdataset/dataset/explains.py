"""Methods of a dataset that tell of an epoch before it begins."""

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from scdataset._tables import counted, html_table
from scdataset.dataset.settings import Settings

if TYPE_CHECKING:
    from scdataset.insight.explain import Explanation, Plan

__all__ = ["Explains"]


class Explains(Settings):
    """A dataset that predicts its next epoch."""

    def __repr__(self) -> str:
        return (
            f"scDataset({type(self._source).__name__} of {counted(self._n_rows, 'row')}, {self.strategy!r}, "
            f"batch_size={self.batch_size}, fetch_factor={self.fetch_factor}, drop_last={self.drop_last}, "
            f"rank={self.rank}, world_size={self.world_size}, seed={self.seed})"
        )

    def _repr_html_(self) -> str:
        """Return a short table, which a notebook shows."""
        source = type(self._source).__name__
        sizes = f"{counted(self.batch_size, 'row')}, {counted(self.fetch_factor, 'batch')} a window"
        rows = [
            ("collection", f"{source} of {counted(self._n_rows, 'row')}"),
            ("strategy", repr(self.strategy)),
            ("batches", f"{len(self):,} of {sizes}{', short ones dropped' if self.drop_last else ''}"),
            ("rank", f"{self.rank} of {self.world_size}"),
            ("seed", str(self.seed)),
        ]
        return html_table("scDataset", rows)

    def explain(self, labels: ArrayLike | str | None = None, *, num_workers: int = 0) -> "Explanation":
        """Predict the next epoch: batches, memory, reads, and how random batches are. No values are read.

        Parameters
        ----------
        labels
            Labels of which the entropy in a batch is predicted: the name of a column of obs, or one label a row of the
            collection. None for the files that rows are in, if there are several.
        num_workers
            Keyword only. Workers of the DataLoader around this dataset, for the batches of each.

        Returns
        -------
        scdataset.insight.Explanation
            Printed as a table, with a field for each line; unknown fields are None, and ``notes`` say why.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            If there is no such column, or not one label a row.

        Examples
        --------
        >>> import numpy as np
        >>> from scdataset import BlockShuffling, scDataset
        >>> dataset = scDataset(np.zeros((1000, 50)), BlockShuffling(8), batch_size=64, fetch_factor=4, seed=0)
        >>> explanation = dataset.explain(np.arange(1000) // 250)
        >>> explanation.batches, explanation.row_bytes
        (16, 400.0)
        >>> print(explanation.diversity)
        1.922 bits a batch, 97.7% of 1.968 in true random order (4 classes, simulation)
        """
        from scdataset.insight.explain import explained  # noqa: PLC0415 a room above this one

        return explained(self._plan(), labels, num_workers)

    def _plan(self) -> "Plan":
        """Return the epoch that comes next."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

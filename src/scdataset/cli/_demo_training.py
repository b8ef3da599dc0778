"""Training one linear classifier, timed, and scoring it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn

from scdataset import MultiIndexable
from scdataset.engine.matrices.parts import MatrixRows
from scdataset.errors import CollectionError

if TYPE_CHECKING:
    import anndata

Batch = tuple[Tensor, Tensor]
"""Expression, float32 of shape ``(batch_size, n_genes)``, and class codes, int64 of shape ``(batch_size,)``."""

_COUNTS_PER_CELL = 10_000.0
_LEARNING_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class Window:
    """A fetch transform: fetched cells to sparse normalised expression and class codes."""

    label: str
    classes: tuple[str, ...]

    def __call__(self, cells: "anndata.AnnData") -> MultiIndexable:
        """Return ``expression`` (CSR) and ``code`` of the cells of a fetch."""
        names = pd.Index(np.asarray(cells.obs[self.label])).astype(str)
        codes = pd.Index(self.classes).get_indexer(names)
        return MultiIndexable(expression=normalised(cells.X), code=codes.astype(np.int64))


def normalised(counts: MatrixRows) -> sp.csr_matrix:
    """Return log(1 + counts scaled to 10,000 a cell).

    Raises
    ------
    CollectionError
        If a count is negative.
    """
    matrix = sp.csr_matrix(counts, dtype=np.float32)
    if matrix.nnz and matrix.data.min() < 0:
        message = "X has negative values; the demo needs counts, not scaled expression."
        raise CollectionError(message)
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    factors = np.divide(_COUNTS_PER_CELL, totals, out=np.zeros_like(totals), where=totals > 0)
    scaled = np.log1p(matrix.data * np.repeat(factors, np.diff(matrix.indptr)))
    return sp.csr_matrix((scaled, matrix.indices, matrix.indptr), matrix.shape)


def to_tensors(batch: MultiIndexable) -> Batch:
    """Make a batch dense: a batch transform."""
    return torch.from_numpy(batch["expression"].toarray()), torch.from_numpy(batch["code"])


class Stopwatch:
    """Seconds since it was made (``total``), and those of them spent waiting for batches (``waiting``)."""

    def __init__(self) -> None:
        self._started = perf_counter()
        self.total = 0.0
        self.waiting = 0.0

    def timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on, and count the time until each arrives and until the last is used."""
        iterator = iter(batches)
        while True:
            asked = perf_counter()
            batch = next(iterator, None)
            now = perf_counter()
            self.waiting += now - asked
            self.total = now - self._started
            if batch is None:
                return
            yield batch


def train(model: nn.Linear, loader: Iterable[Batch], epochs: int, advance: Callable[[int], None]) -> Stopwatch:
    """Train ``model`` in place, telling ``advance`` how many cells it has seen."""
    optimiser = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
    loss = nn.CrossEntropyLoss()
    watch = Stopwatch()
    for _ in range(epochs):
        for expression, codes in watch.timed(loader):
            optimiser.zero_grad()
            loss(model(expression), codes).backward()
            optimiser.step()
            advance(len(codes))
    return watch


@torch.no_grad()
def score(model: nn.Linear, loader: Iterable[Batch], advance: Callable[[int], None]) -> tuple[float, float]:
    """Return accuracy and macro-F1 (the mean of the classes' F1 scores)."""
    truth, predicted = [], []
    for expression, codes in loader:
        truth.append(codes)
        predicted.append(model(expression).argmax(dim=1))
        advance(len(codes))
    answers = torch.cat(truth).numpy(), torch.cat(predicted).numpy()
    return float(accuracy_score(*answers)), float(f1_score(*answers, average="macro", zero_division=0.0))

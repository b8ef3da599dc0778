"""The demo: one classifier, three orders of the same cells, one table."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from scdataset import BlockShuffling, Streaming, scDataset
from scdataset._progress import progress_bar
from scdataset._tables import counted
from scdataset.cli._demo_cells import LabelledCells, Split, cached_atlas, open_cells, split
from scdataset.cli._demo_curves import Curve, Snapshots, accuracies, draw
from scdataset.cli._demo_training import Batch, Window, score, to_tensors, train
from scdataset.cli._output import Block, Table, Text, show
from scdataset.strategy import SamplingStrategy

ATLAS_LABEL = "cell_type"

CAPTION = (
    "cells/s: loading and training together; loading cells/s: only the time that training waited for data. "
    "Later orders may find the file in memory."
)

HOW_TO_READ = (
    "How to read it: the rows differ in nothing but the order of the training cells, so what streaming lacks in score "
    "is the price of the order that the file is in, and blocks are random enough where they score as true random "
    "order does."
)


@dataclass(frozen=True, slots=True)
class Training:
    """How to train: the same for every order. The fields are the options of the command."""

    epochs: int
    block_size: int
    fetch_factor: int
    batch_size: int
    workers: int
    seed: int


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one order.

    Attributes
    ----------
    order
        Name of the order.
    cells_per_second
        Training cells divided by the seconds that loading them and training on them took.
    loaded_per_second
        Training cells divided by the seconds of those in which training waited for data.
    accuracy, macro_f1
        Scores on the test cells, in [0, 1].
    curve
        Accuracy on the test cells while it learns, if it was asked for.
    """

    order: str
    cells_per_second: float
    loaded_per_second: float
    accuracy: float
    macro_f1: float
    curve: Curve = ()


def run(
    paths: Sequence[Path] | None, label: str | None, training: Training, test_fraction: float, plot: Path | None = None
) -> None:
    """Run the demo on ``paths``, or on the simulated atlas, print the results, and draw learning curves to ``plot``."""
    # One thread is enough for so small a model, and does not stall where the other cores are busy loading.
    torch.set_num_threads(1)
    if not paths:
        paths = [cached_atlas()]
        show([Text(f"Simulated atlas: {paths[0]}")])
    cells = open_cells(paths, label or ATLAS_LABEL)
    rows = split(cells, test_fraction, training.seed)
    show([*map(Text, cells.left_out), Text(_introduction(cells, rows, training))])
    results = list(compare(cells, rows, training, curves=plot is not None))
    show([Text(""), _table(results), Text(""), Text(CAPTION), Text(HOW_TO_READ)])
    if plot is not None:
        draw({result.order: result.curve for result in results}, plot)
        show([Text(f"Learning curves drawn in {plot}.")])


def compare(cells: LabelledCells, rows: Split, training: Training, *, curves: bool = False) -> Iterator[Result]:
    """Train from the same weights, for the same number of steps, on each order of the training cells."""
    orders: dict[str, SamplingStrategy] = {
        "streaming": Streaming(rows.train),
        f"blocks of {training.block_size}": BlockShuffling(training.block_size, rows.train),
        "true random": BlockShuffling(1, rows.train),
    }
    torch.manual_seed(training.seed)
    untrained = torch.nn.Linear(cells.collection.shape[1], len(cells.classes))
    _warm_up(untrained, cells, rows, training)
    for name, strategy in orders.items():
        model = deepcopy(untrained)
        n_seen = training.epochs * len(rows.train)
        with progress_bar(f"{name}: training", n_seen, visible=True) as advance:
            seen = Snapshots(model, n_seen, advance)
            told = seen if curves else advance
            watch = train(model, _loader(cells, strategy, training), training.epochs, told)
        with progress_bar(f"{name}: testing", len(rows.test), visible=True) as advance:
            accuracy, macro_f1 = score(model, _loader(cells, Streaming(rows.test), training), advance)
        curve = accuracies(seen.taken, _loader(cells, Streaming(rows.test), training)) if curves else ()
        yield Result(name, n_seen / watch.total, n_seen / watch.waiting, accuracy, macro_f1, curve)


def _warm_up(model: torch.nn.Linear, cells: LabelledCells, rows: Split, training: Training) -> None:
    """Trigger compilation and other one-time costs, so that the first order is not charged for them."""
    batch = next(iter(_loader(cells, Streaming(rows.test), training)))
    train(deepcopy(model), [batch], epochs=1, advance=lambda _: None)


def _loader(cells: LabelledCells, strategy: SamplingStrategy, training: Training) -> DataLoader[Batch]:
    """Return batches of tensors in the order of ``strategy``."""
    dataset = scDataset(
        cells.collection,
        strategy,
        training.batch_size,
        training.fetch_factor,
        fetch_transform=Window(cells.label, cells.classes),
        batch_transform=to_tensors,
        seed=training.seed,
    )
    return DataLoader(dataset, batch_size=None, num_workers=training.workers)


def _introduction(cells: LabelledCells, rows: Split, training: Training) -> str:
    """Return the data of the training."""
    n_cells, n_genes = cells.collection.shape
    return (
        f"{counted(n_cells, 'cell')} x {counted(n_genes, 'gene')}; {counted(len(cells.classes), 'class')} of "
        f"{cells.label!r}; {counted(len(rows.train), 'cell')} to train on and {len(rows.test):,} to test on; batches "
        f"of {training.batch_size} from windows of {counted(training.fetch_factor * training.batch_size, 'cell')}."
    )


def _table(results: Sequence[Result]) -> Block:
    """Return the results as a table."""
    headings = ("order", "cells/s", "loading cells/s", "test accuracy", "test macro-F1")
    rows = tuple(
        (
            result.order,
            f"{result.cells_per_second:,.0f}",
            f"{result.loaded_per_second:,.0f}",
            f"{result.accuracy:.3f}",
            f"{result.macro_f1:.3f}",
        )
        for result in results
    )
    return Table(headings, rows, frozenset(range(1, 5)))

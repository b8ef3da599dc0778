"""Learning curves of the demo: accuracy on the test cells against training cells seen, drawn for every order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from scdataset.cli._demo_training import Batch

__all__ = ["Curve", "Snapshots", "accuracies", "draw"]

Curve = tuple[tuple[int, float], ...]
"""Training cells seen, and the accuracy then."""

_POINTS = 12
"""Of a curve; close to each other where it rises."""


class Snapshots:
    """Copies of a model while it is trained, made where the cells seen have grown by a constant factor.

    Parameters
    ----------
    model
        The model.
    n_cells
        Cells that it will have seen in the end.
    advance
        Called along.

    Attributes
    ----------
    taken
        Cells seen, and the model then.
    """

    def __init__(self, model: nn.Linear, n_cells: int, advance: Callable[[int], None]) -> None:
        self.taken: list[tuple[int, nn.Linear]] = [(0, deepcopy(model))]
        self._model = model
        self._advance = advance
        self._seen = 0
        self._marks = [round(n_cells * 2.0**-power) for power in reversed(range(_POINTS - 1))]

    def __call__(self, n_cells: int) -> None:
        """Count cells that were trained on."""
        self._seen += n_cells
        if self._marks and self._seen >= self._marks[0]:
            self.taken.append((self._seen, deepcopy(self._model)))
            self._marks = [mark for mark in self._marks if mark > self._seen]
        self._advance(n_cells)


@torch.no_grad()
def accuracies(taken: Sequence[tuple[int, nn.Linear]], loader: Iterable[Batch]) -> Curve:
    """Return the accuracy of each model, in one pass over the test cells."""
    right, n_cells = [0] * len(taken), 0
    for expression, codes in loader:
        n_cells += len(codes)
        for number, (_, model) in enumerate(taken):
            right[number] += int((model(expression).argmax(dim=1) == codes).sum())
    return tuple((seen, hits / max(n_cells, 1)) for (seen, _), hits in zip(taken, right, strict=True))


def draw(curves: Mapping[str, Curve], path: Path) -> None:
    """Draw the curves of all orders to a picture."""
    from matplotlib.figure import Figure  # noqa: PLC0415 an optional package

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for (name, curve), line in zip(curves.items(), ("o-", "s--", "^:"), strict=False):
        axes.plot(*zip(*curve, strict=True), line, label=name)
    axes.set_xscale("symlog", linthresh=max(min(curve[1][0] for curve in curves.values() if len(curve) > 1), 1))
    axes.set_xlabel("training cells seen")
    axes.set_ylabel("accuracy on the test cells")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(title="order")
    figure.savefig(path, dpi=150)

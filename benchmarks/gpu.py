"""Dense batches on a GPU: cells a second that arrive, and the share of time that a model waits for them.

    python benchmarks/gpu.py [--cells 100000] [--genes 2000] [--batch-size 1024] [--rounds 3]

Windows of 16 batches in blocks of 16, float32, of all genes and of some. ``to_device`` sends CSR and makes it dense
there; ``ToTorch`` makes dense tensors in memory and sends those; ``toarray`` is the hook that people write.
``arriving`` drops the batches; ``normalised`` does so too, and takes logarithms of normalised counts before: on the
device, or ahead in memory. ``training`` gives batches to an autoencoder of three layers; a GPU waits when no step runs
on it, which events around the steps tell.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import page_cache
import results
import torch
from data import add_options, make_store
from peer_environments import Environments

from scdataset import BlockShuffling, open_collection, scDataset
from scdataset.transforms import Compose, Log1p, NormalizeTotal, ToTorch, to_device

STEPS = Compose(NormalizeTotal(1e4), Log1p())


def toarray(batch: Any) -> torch.Tensor:
    """Make a dense tensor, as a hook that people write does."""
    return torch.from_numpy(batch["X"].toarray())


def _by_to_device(cells: Any, device: torch.device, options: argparse.Namespace, *, normalised: bool) -> Iterable[Any]:
    dataset = scDataset(cells, BlockShuffling(16), options.batch_size, 16, seed=0, drop_last=True)
    return (batch["X"] for batch in to_device(dataset, device, transform=STEPS if normalised else None))


def _by_hook(hook: Callable[[Any], Any]) -> Callable[..., Iterable[Any]]:
    def batches(cells: Any, device: torch.device, options: argparse.Namespace, *, normalised: bool) -> Iterable[Any]:
        first = STEPS if normalised else None
        dataset = scDataset(
            cells,
            BlockShuffling(16),
            options.batch_size,
            16,
            seed=0,
            drop_last=True,
            fetch_transform=first,
            batch_transform=hook,
        )
        return (batch.to(device, non_blocking=True) for batch in dataset)

    return batches


def _dense(batch: Any) -> torch.Tensor:
    return _TO_TORCH(batch)["X"]


_TO_TORCH = ToTorch()

WAYS: dict[str, Callable[..., Iterable[Any]]] = {
    "to_device": _by_to_device,
    "ToTorch": _by_hook(_dense),
    "toarray": _by_hook(toarray),
}


class Autoencoder:
    """Three layers and Adam, and the time that their steps take on the device."""

    def __init__(self, n_genes: int, device: torch.device) -> None:
        layers = torch.nn.Linear(n_genes, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU()
        self.model = torch.nn.Sequential(*layers, torch.nn.Linear(512, n_genes)).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.events: list[tuple[Any, Any]] = []

    def step(self, batch: torch.Tensor) -> None:
        """Train on a batch."""
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begun.record()
        loss = torch.nn.functional.mse_loss(self.model(batch), batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        ended.record()
        self.events.append((begun, ended))

    def seconds(self) -> float:
        """Return the time of all steps since the last call."""
        total = sum(begun.elapsed_time(ended) for begun, ended in self.events) / 1e3
        self.events.clear()
        return total


def measure(batches: Iterable[Any], model: Autoencoder | None, n_batches: int) -> tuple[float, float]:
    """Return cells a second, and the share of time that the device did not train."""
    iterator: Iterator[Any] = iter(batches)
    for batch in islice(iterator, 32):
        if model is not None:
            model.step(batch)
    torch.cuda.synchronize()
    if model is not None:
        model.seconds()
    start, n_cells = time.perf_counter(), 0
    for batch in islice(iterator, n_batches):
        n_cells += batch.shape[0]
        if model is not None:
            model.step(batch)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return n_cells / seconds, 1 - (model.seconds() if model is not None else 0) / seconds


def compare(path: Path, n_genes: int | None, device: torch.device, options: argparse.Namespace, kept: Any) -> None:
    """Measure all ways in turns, and print each beside the hook."""
    names = open_collection(path).var_names
    chosen = None if n_genes is None else np.random.default_rng(0).choice(names, n_genes, replace=False)
    cells = open_collection(path, genes=chosen)
    n_batches = cells.shape[0] // options.batch_size - 32
    for kind in ("arriving", "normalised", "training"):
        model = Autoencoder(cells.shape[1], device) if kind == "training" else None
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way, make in WAYS.items():
                batches = make(cells, device, options, normalised=kind == "normalised")
                found[way].append(measure(batches, model, n_batches))
        for way, rounds in found.items():
            rates, waits = [rate for rate, _ in rounds], [wait for _, wait in rounds]
            kept.add(f"{cells.shape[1]} genes", kind, way, rates=rates, waits=waits)
            rate, wait = statistics.median(rates), statistics.median(waits)
            beside = rate / statistics.median(rate for rate, _ in found["toarray"])
            waiting = f", the GPU waits {wait:4.0%}" if model is not None else ""
            line = (
                f"{cells.shape[1]:7,} genes  {kind:10} {way:10} {rate:10,.0f} cells/s {beside:5.1f}x toarray{waiting}"
            )
            print(line, flush=True)  # noqa: T201


def main() -> None:
    """Measure all genes and some, or say that there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    results.add_options(parser)
    parser.add_argument("--genes", type=int, default=2_000, help="genes that are chosen, beside all")
    parser.add_argument("--batch-size", type=int, default=1_024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.set_defaults(cells=100_000)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("No CUDA device is on this machine, so there is nothing to measure.")
    device = torch.device("cuda")
    kept = results.Results("gpu", options)
    kept.note(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}")
    path = make_store("plain", options.data, options.cells, Environments(options.data))
    page_cache.warm(path)
    for n_genes in (options.genes, None):
        compare(path, n_genes, device, options, kept)


if __name__ == "__main__":
    main()

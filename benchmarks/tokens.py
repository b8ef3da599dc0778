"""Bins and ranked tokens: cells a second of `BinValues` and `RankTokens` beside plain numpy, as models have it.

    python benchmarks/tokens.py [--rows 256] [--genes 62710] [--rounds 7]

All in one process and in turns. The plain ways go cell by cell, over the values that are stored; counts are of a
lognormal-Poisson law, about 1,650 of them above 0 in a cell. Results are compared before anything is measured.
"""

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import results
import scipy.sparse
from numpy.typing import NDArray

from scdataset.transforms import BinValues, Compose, Log1p, NormalizeTotal, RankTokens, RowKeys

NON_ZEROS = 1_650
"""Of a cell, on average."""

N_BINS, MAX_LENGTH = 51, 2_048

CLS, EOS, FIRST = 1, 2, 4
"""Special tokens, and the first of a gene."""


def cells(rows: int, genes: int) -> Any:
    """Return counts of cells as CSR float32; few genes are seen often, as in real cells."""
    generator = np.random.default_rng(0)
    rates = generator.lognormal(0, 2.7, genes)
    for _ in range(20):  # until so many are above 0
        rates *= NON_ZEROS / (1 - np.exp(-rates)).sum()
    counts = [generator.poisson(rates * generator.lognormal(0, 0.4)).astype(np.float32) for _ in range(rows)]
    return scipy.sparse.vstack([scipy.sparse.csr_matrix(cell) for cell in counts], "csr")


def binned_plainly(matrix: Any, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the bins of the values that are stored, cell by cell."""
    bins = np.zeros(matrix.nnz, np.int64)
    grades = np.linspace(0, 1, N_BINS - 1)
    for row in range(matrix.shape[0]):
        part = slice(matrix.indptr[row], matrix.indptr[row + 1])
        cell = matrix.data[part]
        edges = np.quantile(cell, grades)
        left, right = np.digitize(cell, edges), np.digitize(cell, edges, right=True)
        bins[part] = np.ceil(generator.random(cell.size) * (right - left) + left)
    return bins


def ranked_plainly(matrix: Any, tokens: NDArray[np.int64], medians: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return padded tokens, cell by cell, of a matrix that is normalised as a whole."""
    totals = np.asarray(matrix.sum(axis=1, dtype=np.float64))
    normalised = scipy.sparse.csr_matrix(matrix.multiply(1e4 / totals).multiply(1 / medians))
    ids = np.zeros((matrix.shape[0], MAX_LENGTH), np.int64)
    for row in range(matrix.shape[0]):
        cell = normalised[row]
        genes = tokens[cell.indices][np.argsort(-cell.data)][: MAX_LENGTH - 2]
        sentence = np.concatenate([[CLS], genes, [EOS]])
        ids[row, : sentence.size] = sentence
    return ids


def check(counts: Any, logged: Any, ways: dict[str, dict[str, Callable[[], Any]]]) -> None:
    """Compare the results of both ways, ties aside."""
    ours, plain = (np.asarray(getattr(found, "data", found)) for found in (way() for way in ways["bins"].values()))
    for row in range(counts.shape[0]):
        part = slice(logged.indptr[row], logged.indptr[row + 1])
        edges = np.quantile(logged.data[part], np.linspace(0, 1, N_BINS - 1))
        last = np.digitize(logged.data[part], edges)
        first = np.minimum(np.digitize(logged.data[part], edges, right=True) + 1, last)
        for bins in (ours[part], plain[part]):
            assert np.all((first <= bins) & (bins <= last))
    ids, expected = (np.asarray(way()) for way in ways["tokens"].values())
    assert np.array_equal(np.sort(ids, axis=1), np.sort(expected, axis=1))
    assert np.mean(ids == expected) > 0.95  # numpy's argsort leaves the order of ties open


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    results.add_options(parser)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--genes", type=int, default=62_710)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    generator = np.random.default_rng(1)
    counts = cells(options.rows, options.genes)
    logged = Compose(NormalizeTotal(), Log1p())(counts)
    keys = RowKeys(np.arange(options.rows), seed=0, epoch=0)
    tokens, medians = np.arange(options.genes) + FIRST, generator.gamma(2, 2, options.genes) + 0.1
    to_bins, to_tokens = BinValues(N_BINS), RankTokens(tokens, medians, MAX_LENGTH, cls=CLS, eos=EOS)
    ways: dict[str, dict[str, Callable[[], Any]]] = {
        "bins": {
            "BinValues": lambda: to_bins(logged, keys),
            "plain numpy": lambda: binned_plainly(logged, generator),
        },
        "tokens": {
            "RankTokens": lambda: to_tokens(counts)["input_ids"],
            "plain numpy": lambda: ranked_plainly(counts, tokens, medians),
        },
    }
    kept = results.Results("tokens", options)
    check(counts, logged, ways)
    for kind, two in ways.items():
        rates: dict[str, list[float]] = {name: [] for name in two}
        for _ in range(options.rounds):
            for name, way in two.items():
                start = perf_counter()
                way()
                rates[name].append(options.rows / (perf_counter() - start))
        row = f"{options.rows:,} x {options.genes:,}, {counts.nnz / options.rows:,.0f} values a cell"
        ours, plain = rates.values()
        ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
        for name, found in rates.items():
            kept.add(f"{kind}, cells/s", row, name, rates=found)
            print(f"{kind:8} {name:12} {statistics.median(found):10,.0f} cells/s")  # noqa: T201
        print(f"{kind:8} {ratio:.1f} times as fast")  # noqa: T201
    print(kept.path)  # noqa: T201


if __name__ == "__main__":
    main()

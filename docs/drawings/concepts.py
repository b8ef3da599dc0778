"""The drawings of the concepts, from orders and shares that the package itself computes.

python docs/drawings/concepts.py
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from svg import COLOURS, GREY, INK, PALE, arrow, box, code, drawing, text, write_all

from scdataset import BlockShuffling, scDataset
from scdataset.schedule.partition import Partition

FOLDER = Path(__file__).parents[1] / "concepts"
CELL = 12
LEFT = 24


def _cells(
    rows: Iterator[int] | np.ndarray, x: float, y: float, n_rows: int, gap_every: int = 0, gap: float = 6
) -> Iterator[str]:
    """Yield small squares, in the colours of the donors that rows belong to."""
    for place, row in enumerate(rows):
        shift = gap * (place // gap_every) if gap_every else 0
        colour = COLOURS[int(row) * len(COLOURS) // n_rows]
        yield box(x + place * CELL + shift, y, CELL - 1, 22, fill=colour)


def blocks_windows_batches() -> str:
    """Draw how a file becomes batches: 48 rows of four donors, blocks of 4, windows of 3 batches of 8."""
    n_rows, block, batch, factor = 48, 4, 8, 3
    strategy = BlockShuffling(block)
    order = strategy.order(n_rows, seed=2, epoch=0).rows(0, n_rows)
    batches = list(scDataset(np.arange(n_rows), strategy, batch, factor, seed=2))
    window = batch * factor

    def shapes() -> Iterator[str]:
        yield text(LEFT, 34, "1  The file: rows lie by donor. Blocks are neighbouring rows.", weight=600)
        yield from _cells(range(n_rows), LEFT, 46, n_rows, block, 4.5)
        yield text(LEFT, 112, "2  Blocks come in random order; fetch_factor batches are a window.", weight=600)
        for number in range(2):
            x = LEFT + number * (window * CELL + 6 * 4 + 14)
            rows = order[number * window : (number + 1) * window]
            yield box(x - 6, 120, window * CELL + 5 * 4 + 11, 38, stroke=GREY, dashed=True)
            yield from _cells(rows, x, 128, n_rows, block, 4)
        yield text(LEFT, 194, "3  A window is read in the order of the file, then shuffled row by row.", weight=600)
        yield text(LEFT, 272, "4  Batches are cut from it.", weight=600)
        for number in range(2):
            x = LEFT + number * (window * CELL + 6 * 4 + 14)
            mine = np.concatenate(batches[number * factor : (number + 1) * factor])
            yield box(x - 6, 202, window * CELL + 5 * 4 + 11, 38, stroke=GREY, dashed=True)
            yield from _cells(mine, x + 8, 210, n_rows)
            yield from _cells(mine, x, 284, n_rows, batch, 10)
        yield text(
            LEFT,
            338,
            "Colours are donors. Each batch has rows of several donors, and every row comes once.",
            size=15,
            colour=GREY,
        )

    return drawing(680, 358, "From a file to batches: blocks, windows, batches", shapes())


def order_of_an_epoch() -> str:
    """Draw how a position becomes a row."""

    def step(y: float, title: str, example: str) -> Iterator[str]:
        yield box(LEFT, y, 632, 56, fill="#f5f7fa", stroke=PALE)
        yield text(LEFT + 14, y + 24, title, weight=600)
        yield code(LEFT + 14, y + 45, example, colour=INK)

    order = BlockShuffling(16).order(1_000_000_000, seed=7, epoch=3)
    row = int(order.rows(500_000_000, 500_000_001)[0])
    steps = [
        ("Seed, epoch and purpose are hashed to a key", 'key = hash(seed=7, epoch=3, "blocks")'),
        ("A position says which block it is in, and where", "500,000,000 = 31,250,000 x 16 + 0"),
        ("A keyed permutation says which block comes there", f"permute(31,250,000; key) = {row // 16:,}"),
        ("Block and place are the row", f"{row // 16:,} x 16 + 0 = {row:,}"),
        ("The rows of a window are shuffled with a key of their own", 'key = hash(seed=7, epoch=3, "window", number)'),
    ]

    def shapes() -> Iterator[str]:
        yield text(LEFT, 34, "Which row comes at position 500,000,000 of a billion?", weight=600, size=18)
        for number, (title, example) in enumerate(steps):
            y = 52 + number * 76
            yield from step(y, title, example)
            if number:
                yield arrow(340, y - 19, 340, y - 2)
        yield text(
            LEFT,
            450,
            "No list of rows, no stream of random numbers: any part of an epoch, at once.",
            size=15,
            colour=GREY,
        )

    return drawing(680, 470, "How a position becomes a row", shapes())


def ranks() -> str:
    """Draw which batches each of two ranks yields."""
    n_batches, factor, world = 26, 4, 2
    parts = [Partition(n_batches * 8, 8, factor, rank=rank, world_size=world) for rank in range(world)]
    width = 22

    def line(y: float, owner: dict[int, int], label: str) -> Iterator[str]:
        yield text(LEFT, y - 10, label, weight=600)
        for number in range(n_batches):
            x = LEFT + number * width + 5 * (number // factor)
            fill = COLOURS[owner[number]] if number in owner else "#ffffff"
            yield box(x, y, width - 2, 26, fill=fill, stroke=PALE)

    owned = [batches_of(part) for part in parts]

    def shapes() -> Iterator[str]:
        yield from line(
            46, {b: r for r, mine in enumerate(owned) for b in mine}, "The batches of an epoch, in windows of 4"
        )
        for rank in range(world):
            y = 136 + rank * 76
            yield from line(y, dict.fromkeys(owned[rank], rank), f"Rank {rank} reads {len(owned[rank])} batches")
        yield text(
            LEFT,
            272,
            "Whole windows go to ranks in turn. What does not fill a round is divided by",
            size=15,
            colour=GREY,
        )
        yield text(
            LEFT,
            292,
            "batches, so that ranks end equal. Within a rank, workers take whole windows.",
            size=15,
            colour=GREY,
        )

    return drawing(680, 312, "Which batches each rank reads", shapes())


def batches_of(part: Partition) -> list[int]:
    """Return the batches that a rank yields, in order."""
    return [batch for run in part.batches(0, len(part)) for batch in run]


def state() -> str:
    """Draw what a state counts."""
    dataset = scDataset(np.arange(26 * 8), BlockShuffling(4), 8, 4, seed=7)
    batches = iter(dataset)
    for _ in range(10):
        next(batches)
    saved = dataset.state_dict()
    width = 22

    def shapes() -> Iterator[str]:
        yield text(LEFT, 34, "An epoch, stopped after 10 batches", weight=600)
        for number in range(26):
            fill = COLOURS[0] if number < 10 else "#ffffff"
            x = LEFT + number * width + 5 * (number // 4)
            yield box(
                x, 46, width - 2, 26, fill=fill, stroke=GREY if 10 <= number < 16 else PALE, dashed=10 <= number < 16
            )
        yield text(LEFT, 96, "consumed", size=15, colour=COLOURS[0])
        yield text(LEFT + 240, 96, "read ahead: not counted", size=15, colour=GREY)
        yield text(LEFT + 450, 96, "left", size=15, colour=GREY)
        yield arrow(340, 108, 340, 128)
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in saved.items()]
        yield box(LEFT, 132, 632, 28 + 19 * len(lines), fill="#f5f7fa", stroke=PALE)
        for number, words in enumerate(lines):
            yield code(LEFT + 14, 156 + 19 * number, words if len(words) < 74 else words[:70] + "...")
        yield text(
            LEFT,
            190 + 19 * len(lines),
            "chain: [ranks, workers, batches taken from each rank], one entry a restart.",
            size=15,
            colour=GREY,
        )

    return drawing(680, 210 + 19 * len(saved), "What a saved state holds", shapes())


DRAWINGS = {
    "blocks.svg": blocks_windows_batches,
    "order.svg": order_of_an_epoch,
    "ranks.svg": ranks,
    "state.svg": state,
}

if __name__ == "__main__":
    write_all({name: draw() for name, draw in DRAWINGS.items()}, FOLDER)

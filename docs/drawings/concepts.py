"""The drawings of the concepts, from orders and shares that the package itself computes.

python docs/drawings/concepts.py
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from svg import COLOURS, GREY, PALE, arrow, box, code, drawing, text, write_all

from scdataset import BlockShuffling, scDataset
from scdataset.schedule.partition import Partition

FOLDER = Path(__file__).parents[1] / "concepts"
CELL, LEFT, WIDTH = 13, 20, 520
"""Pixels: the side of a row, the margin, and the whole, which a telephone shows at two thirds."""

_BATCH, _GAP = 18, 4


def _cells(rows: Iterable[int], x: float, y: float, n_rows: int, gap_every: int = 0, gap: float = 3) -> Iterator[str]:
    """Yield small squares, in the colours of the donors that rows belong to."""
    for place, row in enumerate(rows):
        shift = gap * (place // gap_every) if gap_every else 0
        yield box(x + place * CELL + shift, y, CELL - 1, 22, fill=COLOURS[int(row) * len(COLOURS) // n_rows])


def _notes(y: float, *lines: str) -> Iterator[str]:
    """Yield lines of a remark."""
    for number, words in enumerate(lines):
        yield text(LEFT, y + 20 * number, words, size=15, colour=GREY)


def blocks_windows_batches() -> str:
    """Draw how a file becomes batches: 32 rows of four donors, blocks of 4, windows of 2 batches of 8."""
    n_rows, block, batch, factor = 32, 4, 8, 2
    strategy, window = BlockShuffling(block), batch * factor
    order = strategy.order(n_rows, seed=4, epoch=0).rows(0, n_rows)
    batches = list(scDataset(np.arange(n_rows), strategy, batch, factor, seed=4))

    def shapes() -> Iterator[str]:
        yield text(LEFT, 32, "1  The file, by donor: blocks of neighbouring rows", weight=600)
        yield from _cells(range(n_rows), LEFT, 44, n_rows, block, 6)
        yield text(LEFT, 108, "2  Blocks in random order: a window has several", weight=600)
        yield text(LEFT, 190, "3  Read in file order, then shuffled row by row", weight=600)
        yield text(LEFT, 268, "4  Batches are cut from the window", weight=600)
        for number in range(n_rows // window):
            x = LEFT + 8 + number * 244
            mine = np.concatenate(batches[number * factor : (number + 1) * factor])
            for y in (118, 200):
                yield box(x - 8, y, window * CELL + 24, 38, stroke=GREY, dashed=True)
            yield from _cells(order[number * window : (number + 1) * window], x, 126, n_rows, block)
            yield from _cells(mine, x, 208, n_rows)
            yield from _cells(mine, x, 280, n_rows, batch, 14)
        yield from _notes(336, "Colours are donors. A batch has rows of several,", "and every row comes once an epoch.")

    return drawing(WIDTH, 374, "From a file to batches: blocks, windows, batches", shapes())


def order_of_an_epoch() -> str:
    """Draw how a position becomes a row."""
    order = BlockShuffling(16).order(1_000_000_000, seed=7, epoch=3)
    row = int(order.rows(500_000_000, 500_000_001)[0])
    steps = [
        ("Seed, epoch and purpose are hashed to a key", 'key = hash(seed=7, epoch=3, "blocks")'),
        ("The position is in a block, at a place", "500,000,000 = 31,250,000 x 16 + 0"),
        ("A keyed permutation says which block comes there", f"permute(31,250,000, key) = {row // 16:,}"),
        ("Block and place are the row", f"{row // 16:,} x 16 + 0 = {row:,}"),
        ("The window is shuffled with a key of its own", 'key = hash(seed=7, epoch=3, "window", number)'),
    ]

    def shapes() -> Iterator[str]:
        yield text(LEFT, 34, "Which row is at position 500,000,000 of a billion?", weight=600, size=18)
        for number, (title, example) in enumerate(steps):
            y = 52 + number * 76
            yield box(LEFT, y, WIDTH - 2 * LEFT, 56, fill="#f5f7fa", stroke=PALE)
            yield text(LEFT + 14, y + 24, title, weight=600)
            yield code(LEFT + 14, y + 45, example)
            if number:
                yield arrow(WIDTH / 2, y - 19, WIDTH / 2, y - 2)
        yield from _notes(450, "No list of rows, no stream of random numbers:", "any part of an epoch, at once.")

    return drawing(WIDTH, 488, "How a position becomes a row", shapes())


def _epoch(y: float, n_batches: int, factor: int, colours: dict[int, str], outlined: range = range(0)) -> Iterator[str]:
    """Yield the batches of an epoch in their windows."""
    for number in range(n_batches):
        x = LEFT + number * _BATCH + _GAP * (number // factor)
        is_outlined = number in outlined
        stroke = GREY if is_outlined else PALE
        yield box(x, y, _BATCH - 2, 26, fill=colours.get(number, "#ffffff"), stroke=stroke, dashed=is_outlined)


def ranks() -> str:
    """Draw which batches each of two ranks yields."""
    n_batches, factor = 26, 4
    parts = [Partition(n_batches * 8, 8, factor, rank=rank, world_size=2) for rank in range(2)]
    owned = [dict.fromkeys(batches_of(part), COLOURS[part.rank]) for part in parts]

    def shapes() -> Iterator[str]:
        yield text(LEFT, 34, "The batches of an epoch, in windows of 4", weight=600)
        yield from _epoch(46, n_batches, factor, owned[0] | owned[1])
        for rank, mine in enumerate(owned):
            yield text(LEFT, 112 + rank * 76, f"Rank {rank} reads {len(mine)} batches", weight=600)
            yield from _epoch(124 + rank * 76, n_batches, factor, mine)
        yield from _notes(
            260,
            "Whole windows go to ranks in turn. What does not fill a",
            "round is divided by batches, so that ranks end equal.",
        )

    return drawing(WIDTH, 298, "Which batches each rank reads", shapes())


def batches_of(part: Partition) -> list[int]:
    """Return the batches that a rank yields, in order."""
    return [batch for run in part.batches(0, len(part)) for batch in run]


def state() -> str:
    """Draw what a state counts."""
    taken, factor, n_batches = 10, 4, 26
    dataset = scDataset(np.arange(n_batches * 8), BlockShuffling(4), 8, factor, seed=7)
    batches = iter(dataset)
    for _ in range(taken):
        next(batches)
    saved = dataset.state_dict()
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in saved.items()]
    end = 132 + 28 + 19 * len(lines)

    def shapes() -> Iterator[str]:
        yield text(LEFT, 34, f"An epoch, stopped after {taken} batches", weight=600)
        yield from _epoch(46, n_batches, factor, dict.fromkeys(range(taken), COLOURS[0]), range(taken, 16))
        yield text(LEFT, 96, "consumed", size=15, colour=COLOURS[0])
        yield text(LEFT + 190, 96, "read ahead: not counted", size=15, colour=GREY)
        yield text(LEFT + 400, 96, "left", size=15, colour=GREY)
        yield arrow(WIDTH / 2, 108, WIDTH / 2, 128)
        yield box(LEFT, 132, WIDTH - 2 * LEFT, end - 132, fill="#f5f7fa", stroke=PALE)
        for number, words in enumerate(lines):
            yield code(LEFT + 14, 156 + 19 * number, words if len(words) < 54 else words[:51] + "...")
        yield from _notes(
            end + 24,
            "chain: ranks, workers and batches taken from each rank;",
            "one entry for each change of ranks or workers.",
        )

    return drawing(WIDTH, end + 60, "What a saved state holds", shapes())


DRAWINGS = {
    "blocks.svg": blocks_windows_batches,
    "order.svg": order_of_an_epoch,
    "ranks.svg": ranks,
    "state.svg": state,
}

if __name__ == "__main__":
    write_all({name: draw() for name, draw in DRAWINGS.items()}, FOLDER)

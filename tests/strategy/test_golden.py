"""Orders stay as they are from release to release: rows and digests of whole epochs, kept in golden_orders.json.

A change in them is a breaking change, which belongs under *Order* in the changelog. To write the file anew, run
``python tests/strategy/test_golden.py``.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import scdataset as sd
from scdataset.schedule.partition import Partition
from scdataset.schedule.windows import rows_of_batches

GOLDEN = Path(__file__).with_name("golden_orders.json")
N_SHOWN = 16
BATCH_SIZE, FETCH_FACTOR = 64, 16


class FromRng(sd.SamplingStrategy):
    """What existing strategies of users look like; its stream is numpy's, whose stability numpy promises for bits."""

    _shuffle_before_yield = True

    def get_indices(self, data_collection, seed=None, rng=None):
        return np.flatnonzero(rng.bit_generator.random_raw(len(data_collection)) & 1)


def _weights(n):
    return (np.arange(n) * 7919 % 13).astype(float)


def _labels(n):
    return np.array(["T", "B", "NK"])[np.arange(n) ** 2 % 7 % 3]


def _unequal(n):
    return np.sqrt(np.arange(n) * 7919 % n).astype(int) // 5


# name: (number of rows, strategy, seed, epoch)
CONFIGURATIONS = {
    "streaming": (1000, lambda n: sd.Streaming(), 0, 0),
    "streaming of every third": (5000, lambda n: sd.Streaming(range(1, n, 3)), 4, 2),
    "streaming with shuffled windows": (5000, lambda n: sd.Streaming(shuffle=True), 1, 5),
    "blocks of 8": (1000, lambda n: sd.BlockShuffling(8), 0, 0),
    "blocks of 8, next epoch": (1000, lambda n: sd.BlockShuffling(8), 0, 1),
    "blocks of 8, next seed": (1000, lambda n: sd.BlockShuffling(8), 1, 0),
    "rows one by one": (4096, lambda n: sd.BlockShuffling(1), 2, 0),
    "rows one by one, beyond the table": (4097, lambda n: sd.BlockShuffling(1), 2, 0),
    "many blocks": (100_003, lambda n: sd.BlockShuffling(7), 2**64 - 1, 3),
    "blocks of a mask, drop_last": (
        10_000,
        lambda n: sd.BlockShuffling(16, np.arange(n) % 7 > 2, drop_last=True),
        5,
        9,
    ),
    "one block": (50, lambda n: sd.BlockShuffling(64), 0, 0),
    "uniform draws": (3000, lambda n: sd.BlockWeightedSampling(4), 0, 0),
    "uniform draws of many rows": (10**7, lambda n: sd.BlockWeightedSampling(4, total_size=50_000), 3, 1),
    "weighted draws": (3000, lambda n: sd.BlockWeightedSampling(4, None, _weights(n), 5000), 0, 0),
    "weighted draws of float32": (
        70_000,
        lambda n: sd.BlockWeightedSampling(8, None, _weights(n).astype(np.float32), 60_000),
        1,
        2,
    ),
    "weighted draws of a range": (9000, lambda n: sd.BlockWeightedSampling(8, range(5, n, 4), _weights(n), 7000), 8, 0),
    "rounds": (3000, lambda n: sd.BlockWeightedSampling(8, None, None, 4000, replace=False, sampling_size=700), 0, 0),
    "rounds beyond the table": (
        9000,
        lambda n: sd.BlockWeightedSampling(8, None, None, 4000, replace=False, sampling_size=700),
        0,
        4,
    ),
    "weighted rounds": (
        3000,
        lambda n: sd.BlockWeightedSampling(8, None, _weights(n), None, replace=False, sampling_size=500),
        7,
        1,
    ),
    "balanced": (3000, lambda n: sd.ClassBalancedSampling(_labels(n)), 0, 0),
    "balanced within indices": (
        8000,
        lambda n: sd.ClassBalancedSampling(_labels(2000), 4, range(0, n, 4), 6000),
        12,
        34,
    ),
    "sets of groups": (3000, lambda n: sd.GroupedSampling(_labels(n), 32), 0, 0),
    "sets of groups, next epoch": (3000, lambda n: sd.GroupedSampling(_labels(n), 32), 0, 1),
    "balanced sets of unequal groups": (
        4000,
        lambda n: sd.GroupedSampling(_unequal(n), 16, balance="balanced", remainder="drop", sets_per_group=9),
        3,
        1,
    ),
    "sets in blocks with matched controls": (
        9000,
        lambda n: sd.GroupedSampling(
            _unequal(n), 8, control=5, match=np.arange(n) % 7, block_size=4, indices=range(0, n, 2)
        ),
        11,
        2,
    ),
    "custom get_indices": (2000, lambda n: FromRng(), 6, 7),
}


def _described(rows):
    """Return the first rows and a digest of all, as little-endian 64-bit integers."""
    digest = hashlib.blake2b(rows.astype("<i8").tobytes(), digest_size=16).hexdigest()
    return {"n": rows.size, "first": rows[:N_SHOWN].tolist(), "digest": digest}


def _epoch(name):
    """Return an epoch as the strategy orders it, and as it is yielded after the shuffle inside windows."""
    n_rows, make, seed, epoch = CONFIGURATIONS[name]
    order = make(n_rows).epoch_order(range(n_rows), seed, epoch)
    partition = Partition(len(order), BATCH_SIZE, FETCH_FACTOR)
    yielded, _ = rows_of_batches(order, partition, [range(partition.n_batches)], seed, epoch)
    return {"ordered": _described(order.rows(0, len(order))), "yielded": _described(yielded)}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_order_is_that_of_earlier_releases(name):
    assert _epoch(name) == json.loads(GOLDEN.read_text())[name]


def test_every_golden_order_is_compared():
    assert set(json.loads(GOLDEN.read_text())) == set(CONFIGURATIONS)


def _write():
    lines = [f"{json.dumps(name)}: {json.dumps(_epoch(name))}" for name in CONFIGURATIONS]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    _write()

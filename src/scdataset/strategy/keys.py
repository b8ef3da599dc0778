"""Keys: the only source of randomness in this package.

A key is 64 bits hashed from (seed, epoch, purpose, number). Whatever is random is a pure function of a key, so an
order can be repeated, resumed and computed anywhere, and no random state is read or changed.
"""

import hashlib
import struct
from typing import Literal

import numpy as np

from scdataset._compiled import compiled

__all__ = ["MAX_SEED", "Purpose", "make_key", "mix", "unit_float"]

MAX_SEED = 2**64 - 1
"""Largest seed and largest epoch, inclusive."""

Purpose = Literal[
    "blocks", "short block", "window", "draws", "arrivals", "strategy", "sets", "cells", "controls", "rows"
]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_1 = np.uint64(30)
_SHIFT_2 = np.uint64(27)
_SHIFT_3 = np.uint64(31)
_SHIFT_TO_53_BITS = np.uint64(11)


def make_key(seed: int, epoch: int, purpose: Purpose, number: int = 0) -> np.uint64:
    """Hash (seed, epoch, purpose, number) to 64 bits.

    Parameters
    ----------
    seed, epoch, number
        Integers in [0, 2**64). They enter the hash side by side and are never added, so no two pairs share a stream.
    purpose
        The purpose of the key: the same seed never serves two.
    """
    message = struct.pack("<QQQ", seed, epoch, number) + purpose.encode()
    return np.uint64(int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "little"))


@compiled
def mix(key: np.uint64, counter: np.uint64) -> np.uint64:
    """Scramble the ``counter``-th step of the stream of ``key`` (SplitMix64, Steele et al. 2014)."""
    z = key + (counter + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> _SHIFT_1)) * _MULTIPLY_1
    z = (z ^ (z >> _SHIFT_2)) * _MULTIPLY_2
    return z ^ (z >> _SHIFT_3)


@compiled
def unit_float(bits: np.uint64) -> float:
    """Map 64 random bits to a float in [0, 1) with 53 of them."""
    return float(bits >> _SHIFT_TO_53_BITS) * 2.0**-53

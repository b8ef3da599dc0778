"""Which rows, in which order. Pure: no input or output, no torch."""

from scdataset.strategy.balanced import ClassBalancedSampling
from scdataset.strategy.base import EpochOrder, SamplingStrategy
from scdataset.strategy.blocks import BlockShuffling
from scdataset.strategy.grouped import GroupedSampling
from scdataset.strategy.streaming import Streaming
from scdataset.strategy.weighted import BlockWeightedSampling

__all__ = [
    "BlockShuffling",
    "BlockWeightedSampling",
    "ClassBalancedSampling",
    "EpochOrder",
    "GroupedSampling",
    "SamplingStrategy",
    "Streaming",
]

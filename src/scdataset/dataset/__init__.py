"""The loop from rows to batches."""

from scdataset.dataset.dataset import scDataset

__all__ = ["scDataset"]

"""scDataset, under the name that users' scripts import it from."""

from scdataset.dataset import scDataset

__all__ = ["scDataset"]

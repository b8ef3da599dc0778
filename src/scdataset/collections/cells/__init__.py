"""Cells on disk, read by the engine."""

from scdataset.collections.cells.collection import CellCollection
from scdataset.collections.cells.modalities import ModalityCollection
from scdataset.collections.cells.open import open_collection

__all__ = ["CellCollection", "ModalityCollection", "open_collection"]

"""Cells on disk, read by the engine."""

from scdataset.cells.collection import CellCollection
from scdataset.cells.modalities import ModalityCollection
from scdataset.cells.open import open_collection

__all__ = ["CellCollection", "ModalityCollection", "open_collection"]

"""Cells on disk, read by the engine."""

from scdataset.cells.collection import CellCollection
from scdataset.cells.modalities import ModalityCollection
from scdataset.cells.open import open_collection
from scdataset.cells.open_again import open_again
from scdataset.cells.opening import Opening

__all__ = ["CellCollection", "ModalityCollection", "Opening", "open_again", "open_collection"]

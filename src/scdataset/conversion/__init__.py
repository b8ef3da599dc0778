"""Conversion of cells to a standard store: AnnData in sharded zarr, out of core, and safe to interrupt."""

from scdataset.conversion.run import Conversion, convert

__all__ = ["Conversion", "convert"]

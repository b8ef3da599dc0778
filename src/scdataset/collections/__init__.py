"""Where rows live: one way to read whatever the user passed."""

from scdataset.collections.base import Collection, as_collection

__all__ = ["Collection", "as_collection"]

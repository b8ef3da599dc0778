"""Where rows live: one way to read whatever the user passed."""

from scdataset.collections.base import Collection, as_collection
from scdataset.collections.multiindexable import MultiIndexable

__all__ = ["Collection", "MultiIndexable", "as_collection"]

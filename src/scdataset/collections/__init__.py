"""Collections: one way to read rows of any object that the user gives."""

from scdataset.collections.base import Collection, as_collection
from scdataset.collections.multiindexable import MultiIndexable

__all__ = ["Collection", "MultiIndexable", "as_collection"]

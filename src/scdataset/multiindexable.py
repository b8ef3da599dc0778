"""MultiIndexable, under the name that users' scripts import it from."""

from scdataset.collections.multiindexable import MultiIndexable

__all__ = ["MultiIndexable"]

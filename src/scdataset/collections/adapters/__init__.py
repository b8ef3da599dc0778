"""Adapters that make collections of other packages' objects: one module a package, imported on first use."""

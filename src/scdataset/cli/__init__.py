"""The command ``scdataset``."""

from scdataset.cli._entry import main

__all__ = ["main"]

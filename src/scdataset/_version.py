"""The version of this package, which the build reads from here."""

__all__ = ["__version__"]

__version__ = "0.4.0"

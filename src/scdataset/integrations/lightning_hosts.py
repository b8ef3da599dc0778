"""The classes of Lightning, which is published twice: a Trainer of one package refuses objects of the other."""

from importlib import import_module
from typing import Any

from scdataset._packages import missing

__all__ = ["base_of"]


def base_of(name: str) -> Any:
    """Return a class that inherits from the class of this name in each package that is installed.

    Raises
    ------
    MissingDependencyError
        If neither is.
    """
    found = []
    for package in ("lightning.pytorch", "pytorch_lightning"):
        try:
            found.append(getattr(import_module(package), name))
        except ImportError:
            continue
    if not found:
        needed_for = "scdataset.integrations.lightning"
        raise missing(needed_for, "lightning")
    return type(f"_{name}", tuple(found), {})

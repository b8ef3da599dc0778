"""Ray's libraries, imported where they are used; an error says if Ray is missing or too old."""

import re
from importlib import import_module
from types import ModuleType

from scdataset._packages import missing

__all__ = ["OLDEST", "ray_library"]

OLDEST = (2, 60)
"""The first version of Ray that is supported."""


def ray_library(name: str, needed_for: str) -> ModuleType:
    """Return one of Ray's libraries, such as ``ray.train``.

    Parameters
    ----------
    name
        Name of the module.
    needed_for
        The feature that needs it.

    Raises
    ------
    MissingDependencyError
        If Ray or a dependency of that library is not installed, or Ray is too old.
    """
    package = f"ray[data,train]>={'.'.join(map(str, OLDEST))}"
    try:
        version = import_module("ray").__version__
        library = import_module(name)
    except ImportError as error:
        raise missing(needed_for, package, because=error) from error
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        because = f"Ray {version} is installed"
        raise missing(needed_for, package, because=because)
    return library

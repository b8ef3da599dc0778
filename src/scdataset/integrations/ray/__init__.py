"""Ray: training, reading, conversion and statistics on more than one machine."""

from importlib import import_module
from typing import Any

__all__ = ["Actors", "read_cells", "to_csr"]

_MODULES = {"Actors": "actors", "read_cells": "cells", "to_csr": "blocks"}
"""Where each name is; modules are imported when they are used, since Ray takes seconds."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

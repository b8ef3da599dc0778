"""Ray: training, reading, conversion and statistics on more than one machine."""

from importlib import import_module
from typing import Any

from scdataset.integrations.ray.versions import ray_library

__all__ = ["Actors", "prepare", "read_cells", "report", "restore", "to_csr"]

_MODULES = {
    "Actors": "actors",
    "prepare": "training",
    "read_cells": "cells",
    "report": "training",
    "restore": "training",
    "to_csr": "blocks",
}
"""Where each name is; modules are imported when they are used, since Ray takes seconds."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    ray_library("ray", f"{__name__}.{name}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

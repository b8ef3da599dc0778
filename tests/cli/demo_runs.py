"""The demo, run on a small atlas."""

from typing import Any, NoReturn

from scdataset.cli import main

SMALL: dict[str, Any] = {"n_cells": 600, "n_genes": 200, "genes_per_cell": 50, "n_types": 4, "progress": False}


ORDERS = ["streaming", "blocks of 16", "true random"]


def demo(*arguments: object) -> int:
    """Run the command with small windows."""
    return main(["demo", "--fetch-factor", "4", *map(str, arguments)])


def interrupt(*_: object, **__: object) -> NoReturn:
    """Do as Ctrl-C does."""
    raise KeyboardInterrupt

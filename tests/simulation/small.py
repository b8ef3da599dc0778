"""Options of a small atlas."""

from typing import Any

SMALL: dict[str, Any] = {"n_cells": 600, "n_genes": 200, "genes_per_cell": 50, "progress": False}

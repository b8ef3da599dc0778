"""Synthetic single-cell atlases in the file format that real ones come in."""

from scdataset.errors import MissingDependencyError

try:
    from scdataset.simulation.atlas import simulate_atlas
except ModuleNotFoundError as error:
    message = f"scdataset.simulation writes h5ad files and needs {error.name}; run: pip install scdataset[anndata]."
    raise MissingDependencyError(message) from error

__all__ = ["simulate_atlas"]

"""Synthetic single-cell atlases in the file format that real ones come in."""

from scdataset._packages import missing

try:
    from scdataset.simulation.atlas import simulate_atlas
except ModuleNotFoundError as error:
    needed_for = "scdataset.simulation, which writes h5ad files,"
    raise missing(needed_for, "anndata", "h5py", because=error) from error

__all__ = ["simulate_atlas"]

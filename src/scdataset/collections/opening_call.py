"""The call that opens a path, for messages about paths given as collections."""

__all__ = ["opening_call"]


def opening_call(path: object) -> str:
    """Return the call that opens a path, in place of giving the path."""
    return f"open_collection({path!r}) or anndata.read_h5ad({path!r}), if it is the path of a file of cells"

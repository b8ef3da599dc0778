"""Optional packages that are not installed: one message for all."""

from collections.abc import Iterator
from contextlib import contextmanager

from scdataset.errors import MissingDependencyError

__all__ = ["missing", "needing"]


def missing(needed_for: str, *packages: str, because: object = None) -> MissingDependencyError:
    """Return the error that says which packages to install.

    Packages are named as the index names them. An extra of this package would not do: the index has another project
    under its name.

    Parameters
    ----------
    needed_for
        The feature that needs them, as the subject of a sentence.
    packages
        Their names for ``pip install``.
    because
        The import error, if it says more than their names.
    """
    reason = "" if because is None else f" ({because})"
    quoted = " ".join(f"'{name}'" if "[" in name or ">" in name else name for name in packages)
    return MissingDependencyError(f"{needed_for} needs {' and '.join(packages)}{reason}; run: pip install {quoted}")


@contextmanager
def needing(needed_for: str, *packages: str) -> Iterator[None]:
    """Raise the error of `missing` where an import inside fails; it says why if a package is there but broken."""
    try:
        yield
    except ImportError as error:
        because = None if isinstance(error, (ModuleNotFoundError, MissingDependencyError)) else error
        raise missing(needed_for, *packages, because=because) from error

"""The user's cache folder, and whether the cache is switched off."""

import os
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from scdataset.errors import ArgumentValueError

__all__ = ["cache_folder", "said_size", "switched_off"]


def cache_folder() -> Path:
    """Return ``$SCDATASET_CACHE_DIR``, or else ``scdataset`` in the system's place for caches.

    Raises
    ------
    RuntimeError
        If there is none, since the user has no home.
    """
    if own := os.environ.get("SCDATASET_CACHE_DIR"):
        return Path(own)
    folder = user_cache_path("scdataset", appauthor=False)
    if not folder.is_absolute():  # a version of platformdirs that leaves ~ as it is
        message = f"there is no home directory, for {folder}"
        raise RuntimeError(message)
    return folder


def switched_off() -> bool:
    """Return whether the user wants nothing cached for speed alone."""
    return os.environ.get("SCDATASET_CACHE", "").lower() in {"0", "off", "no", "false"}


def said_size(variable: str) -> float | None:
    """Return the bytes that an environment variable gives in GiB; None where it is not set.

    Raises
    ------
    ArgumentValueError
        If it is no number.
    """
    text = os.environ.get(variable, "")
    if not text:
        return None
    with suppress(ValueError):
        if (n_gib := float(text)) >= 0:
            return n_gib * 2**30
    message = f"{variable}={text!r} is no size; give the GiB that the cache may take, such as 100 or 0.5."
    raise ArgumentValueError(message)

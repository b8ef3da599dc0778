"""The arguments of a conversion, checked; as JSON they identify an interrupted one."""

import hashlib
import inspect
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from scdataset._arguments import flag, names, nearest, optional_names, whole
from scdataset._types import Json
from scdataset._version import __version__
from scdataset.cells import CellCollection, ModalityCollection, open_collection
from scdataset.cells.object_sources import version_of_url
from scdataset.engine.bytes.object_store import is_url, using_options
from scdataset.errors import ArgumentTypeError, ArgumentValueError, CollectionChangedError
from scdataset.strategy.keys import MAX_SEED

__all__ = ["Storage", "Wanted"]

_FORMAT = 2
"""Version of plans and shards: an interrupted conversion of another one is not continued."""

_OURS = ("obs", "obsm", "dtype", "row_sums", "layer")
"""Options of `open_collection` that a conversion has in its own way, or has no use for."""

_ANY = ("num_threads", "storage_options", "memory_map")
"""Options on which the content of the store does not depend; storage options may hold secrets."""


_OF_CONVERT = (
    "shuffle", "seed", "block_size", "layer", "layers", "obs", "obsm", "raw", "indices", "compact", "dtype",
    "chunk_size", "shard_size", "verify", "progress", "engine",
)  # fmt: skip
"""Options of a conversion alone."""

_DEFAULTS = {name: one.default for name, one in inspect.signature(open_collection).parameters.items()}
"""Options of `open_collection` by name."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How matrices are stored.

    Attributes
    ----------
    compact
        Whether counts get the narrowest unsigned type that holds them all.
    dtype
        The type of values in X and layers, in place of that.
    chunk, shard
        Values in a chunk, which is decoded whole, and in a shard, which is a file.
    """

    compact: bool
    dtype: str | None
    chunk: int
    shard: int

    @classmethod
    def checked(cls, compact: object, dtype: DTypeLike | None, chunk: object, shard: object) -> "Storage":
        """Return the arguments if they can be used."""
        chunk = whole("chunk_size", chunk, minimum=1024, maximum=1 << 26)
        shard = whole("shard_size", shard, minimum=chunk, maximum=1 << 28)
        if shard % chunk:
            message = (
                f"shard_size={shard} is no multiple of chunk_size={chunk}; give one, such as {shard // chunk * chunk}."
            )
            raise ArgumentValueError(message)
        return cls(flag("compact", compact), None if dtype is None else _value_type(dtype), chunk, shard)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The content of the store.

    Attributes
    ----------
    source, layer, options
        For `open_collection`.
    layers, obs, obsm
        Names; None for all columns of ``obs``, and for ``obsm`` of a source that is one file.
    raw
        Whether raw is taken along.
    seed, block_size
        Of the shuffle, None for ``seed`` without one.
    given
        The collection that was given in place of paths; None for paths.
    """

    source: Any
    layer: str | None
    layers: tuple[str, ...]
    obs: tuple[str, ...] | None
    obsm: tuple[str, ...] | None
    raw: bool
    seed: int | None
    block_size: int
    options: Mapping[str, Any]
    given: CellCollection | None = None

    @classmethod
    def checked(
        cls,
        source: object,
        layer: object,
        layers: object,
        obs: object,
        obsm: object,
        raw: object,
        shuffle: object,
        seed: object,
        block_size: object,
        options: Mapping[str, object],
    ) -> "Wanted":
        """Return the arguments if they can be used."""
        known = [name for name in _DEFAULTS if name not in ("source", *_OURS)]
        for name in options:
            if name not in known:
                near = nearest(name, [*known, *_OF_CONVERT])
                message = f"convert has no option {name!r}{near} It takes those of open_collection."
                raise ArgumentTypeError(message)
        opened = None
        if isinstance(source, CellCollection | ModalityCollection):
            opened, opening = _opened(source, {"layer": layer, **options})
            source, layer, options = opening["source"], opening["layer"], _others(opening)
        if not isinstance(layer, str | None):
            message = f"layer={layer!r} is of type {type(layer).__name__}; give the name of a layer, or None for X."
            raise ArgumentTypeError(message)
        columns, arrays = optional_names("obs", obs), optional_names("obsm", obsm)
        number = whole("seed", seed, minimum=0, maximum=MAX_SEED)
        return cls(
            source,
            layer,
            _once("layers", names("layers", layers)),
            None if columns is None else _once("obs", columns),
            None if arrays is None else _once("obsm", arrays),
            flag("raw", raw),
            number if flag("shuffle", shuffle) else None,
            whole("block_size", block_size, minimum=1),
            {name: value for name, value in options.items() if not _is_default(name, value)},
            opened,
        )

    def opened(self, layer: str | None, **others: object) -> CellCollection:
        """Open the source for one of its matrices, with other options in place of those given.

        Raises
        ------
        ArgumentValueError
            If it is empty; an ArgumentTypeError if it has several modalities.
        """
        cells: Any = open_collection(self.source, layer=layer, **{**self.options, **others})
        if not isinstance(cells, CellCollection):
            given = list(cells.modalities)
            message = f"The source has the modalities {given}; give one, such as modality={given[0]!r}."
            raise ArgumentTypeError(message)
        if not len(cells):
            message = f"source={self.source!r} has no cells; there is nothing to convert."
            raise ArgumentValueError(message)
        if self.given is not None:
            _refuse_changed(self.given, cells)
        return cells

    def as_json(self, cells: CellCollection, selected: NDArray[np.int64] | None, storage: Storage) -> Json:
        """Return all that the content of the store depends on."""
        with using_options(self.options.get("storage_options")):
            files = [_identity(path) for path in cells.files]
        described = {
            "format": _FORMAT,
            "scdataset": __version__,
            "files": files,
            "shape": list(cells.shape),
            "genes": _digest("\n".join(map(str, cells.var_names)).encode()),
            "rows": None if selected is None else _digest(selected.tobytes()),
            "layer": self.layer,
            "layers": self.layers,
            "obs": self.obs,
            "obsm": self.obsm,
            "raw": self.raw,
            "seed": self.seed,
            "block_size": self.block_size,
            "storage": [storage.compact, storage.dtype, storage.chunk, storage.shard],
            "options": {name: self.options[name] for name in sorted(self.options) if name not in _ANY},
        }
        # Functions and tables by their type alone: their effect is in the genes.
        text = json.dumps(described, default=lambda value: type(value).__name__)
        return dict(json.loads(text))


def _opened(
    cells: CellCollection | ModalityCollection, options: Mapping[str, object]
) -> tuple[CellCollection, Mapping[str, Any]]:
    """Return a collection, and the arguments of the call that opened it.

    Raises
    ------
    ArgumentTypeError
        If it was not opened here, or options for opening are given beside it, other than those of the store to write.
    """
    if isinstance(cells, ModalityCollection) or cells.opening is None:
        message = (
            f"source={cells!r} was not opened by open_collection in this process as one of its own; give paths, and of "
            "MuData the name of one modality: convert(path, out, modality=...)."
        )
        raise ArgumentTypeError(message)
    given = [name for name, value in options.items() if not _is_default(name, value) and name != "storage_options"]
    if given:
        message = f"convert got a collection and {given}, which are options for opening one; give paths."
        raise ArgumentTypeError(message)
    return cells, cells.opening.arguments


def _others(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options for opening that are not arguments of a conversion of its own."""
    return {name: value for name, value in arguments.items() if name not in ("source", *_OURS)}


def _is_default(name: str, value: object) -> bool:
    default = _DEFAULTS[name]
    return value is default or (isinstance(value, str | bool) and value == default)


def _refuse_changed(given: CellCollection, cells: CellCollection) -> None:
    """Raise if a file of a collection has changed since that was opened, and ``cells`` after it."""
    sizes = np.array(given.sizes)
    given.read_matrix(np.cumsum(sizes)[sizes > 0] - 1)
    if given.fingerprint() != cells.fingerprint():
        message = f"source={given!r} has changed since it was opened; open it again."
        raise CollectionChangedError(message)


def _identity(path: str) -> list[object]:
    if is_url(path):
        return [path, version_of_url(path)]
    status = os.stat(path)  # noqa: PTH116 of thousands of files
    return [path, status.st_size, status.st_mtime_ns]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _once(name: str, given: Sequence[str]) -> tuple[str, ...]:
    repeated = sorted({one for one in given if given.count(one) > 1})
    if repeated:
        message = f"{name}={list(given)} has {repeated} more than once; give each once."
        raise ArgumentValueError(message)
    return tuple(given)


def _value_type(dtype: DTypeLike) -> str:
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found is None or found.kind not in "iufb" or found.itemsize > 8:
        message = f"dtype={dtype!r} is no type of real numbers; give one such as 'uint16' or 'float32', or None."
        raise ArgumentTypeError(message)
    return found.name

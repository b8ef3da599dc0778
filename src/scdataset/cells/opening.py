"""The call that opened a collection, for other processes to open it again, on other machines too."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Self
from uuid import uuid4

from scdataset.cells.join.origin import Origin

__all__ = ["Opening"]


@dataclass(frozen=True, slots=True)
class Opening:
    """The arguments of `open_collection`, and the cells that it found.

    An opened collection belongs to one machine: files are known by the numbers that its system has for them.

    Attributes
    ----------
    arguments
        By name; ``source`` is a list of the paths of all files, or a dict of such lists by key.
    sizes
        Number of cells of each file, shape ``(n_files,)``.
    token
        Tells this call from any other, also of the same arguments, since files may have changed between them.
    """

    arguments: Mapping[str, Any] = field(compare=False, repr=False)
    sizes: tuple[int, ...] = field(compare=False, repr=False)
    token: str = field(default_factory=lambda: uuid4().hex)

    @classmethod
    def from_call(
        cls, arguments: Mapping[str, Any], paths: Sequence[str], origin: Origin | None, sizes: Sequence[int]
    ) -> Self:
        """Return the opening of a call with these arguments, which found these files."""
        source: object = list(paths)
        if isinstance(arguments["source"], Mapping):
            source = _by_key(paths, origin) if origin is not None else {"": source}
        return cls({**arguments, "source": source}, tuple(sizes))

    @property
    def paths(self) -> list[str]:
        """Paths of all files."""
        source = self.arguments["source"]
        return [path for found in source.values() for path in found] if isinstance(source, Mapping) else source


def _by_key(paths: Sequence[str], origin: Origin) -> dict[str, list[str]]:
    pairs: Iterator[tuple[str, str]] = zip(origin.keys, paths, strict=True)
    return {key: [path for _, path in found] for key, found in groupby(pairs, lambda pair: pair[0])}

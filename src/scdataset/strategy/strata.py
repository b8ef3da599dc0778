"""Strata: rows that agree in one column of labels, or in several."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset.errors import ArgumentValueError
from scdataset.strategy.labels import ClassCodes, encode_labels, encode_present

__all__ = ["Strata"]

_MAX_COMBINATIONS = 1 << 62


@dataclass(frozen=True, slots=True)
class Strata:
    """A stratum an entry, and the values of the strata.

    Attributes
    ----------
    encoded
        The stratum of each entry; its classes are labels where there is one column, and otherwise numbers whose digits
        are the codes in the columns.
    columns
        The columns by name, one without a name if a single column was given.
    """

    encoded: ClassCodes
    columns: dict[str, ClassCodes]

    @classmethod
    def from_columns(cls, match: object) -> "Strata":
        """Encode the ``match`` argument: labels, or a mapping or frame of several columns of labels."""
        named = _columns(match)
        columns = {name: encode_labels(labels, _column_of("match", name)) for name, labels in named}
        if not columns:
            message = "match has no columns; give at least one, or None to match every cell with every control."
            raise ArgumentValueError(message)
        lengths = {name: column.codes.size for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            message = f"match has columns of different lengths ({lengths}); give one label a row in each."
            raise ArgumentValueError(message)
        return cls(_crossed(list(columns.values())), columns)

    def named(self, argument: str) -> dict[str, ClassCodes]:
        """Return the columns by their names in errors."""
        return {_column_of(argument, name): column for name, column in self.columns.items()}

    def label(self, stratum: int) -> str:
        """Return a stratum as errors show it."""
        if len(self.columns) == 1:
            return repr(self.encoded.classes.tolist()[stratum])
        number = int(self.encoded.classes[stratum])
        parts = []
        for name, column in reversed(self.columns.items()):
            number, code = divmod(number, column.classes.size)
            parts.append(f"{name}={column.classes.tolist()[code]!r}")
        return ", ".join(reversed(parts))


def _column_of(argument: str, name: str) -> str:
    return f"{argument}[{name!r}]" if name else argument


def _columns(match: object) -> list[tuple[str, ArrayLike | Sequence[Hashable]]]:
    if isinstance(match, Mapping):
        return [(str(name), labels) for name, labels in match.items()]
    if hasattr(match, "columns"):  # a frame of pandas or polars
        columns = cast("Mapping[object, ArrayLike]", match)
        return [(str(name), columns[name]) for name in match.columns]
    return [("", cast("ArrayLike", match))]


def _crossed(columns: list[ClassCodes]) -> ClassCodes:
    if len(columns) == 1:
        return columns[0]
    sizes = [column.classes.size for column in columns]
    if prod(sizes) > _MAX_COMBINATIONS:
        message = f"match has columns of {sizes} labels, too many combinations to tell apart; leave a column out."
        raise ArgumentValueError(message)
    numbers: NDArray[np.int64] = np.zeros(columns[0].codes.size, np.int64)
    is_whole: NDArray[np.bool_] = np.ones(numbers.size, bool)
    for column, size in zip(columns, sizes, strict=True):
        numbers *= size
        numbers += column.from_zero()
        if column.n_missing:
            is_whole &= column.codes >= 0
    return encode_labels(numbers, "match") if is_whole.all() else encode_present(numbers, is_whole, "match")

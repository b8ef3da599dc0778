"""Class labels as small integer codes."""

import reprlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scdataset._arguments import one_axis, warn
from scdataset._compiled import compiled
from scdataset._types import Array, DType
from scdataset.errors import ArgumentTypeError, ArgumentValueError
from scdataset.strategy.selection import Rows
from scdataset.strategy.weights import in_parts

__all__ = ["ClassCodes", "encode_labels", "encode_present"]

_MAX_SMALL = 1 << 16
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ClassCodes:
    """A code a row, and the meaning of the codes.

    Attributes
    ----------
    codes
        ``classes[codes[k] - offset]`` is the label of entry k, and the code of a missing one is -1; shape ``(n,)``, the
        smallest integer type that fits, and the caller's own array where that is one.
    offset
        Code of the first class.
    classes
        The labels, shape ``(n_classes,)``; integer labels between the smallest and the largest may be unused.
    counts
        Entries of each class, shape ``(n_classes,)``, int64.
    n_missing
        Entries without a label.
    """

    codes: Array
    offset: int
    classes: Array
    counts: NDArray[np.int64]
    n_missing: int = 0

    def labels(self) -> Array:
        """Return the label of each entry, shape ``(n,)``; None where it is missing."""
        places = self.codes.astype(np.intp) - self.offset
        return (np.append(self.classes.astype(object), [None]) if self.n_missing else self.classes)[places]

    def at(self, rows: Rows) -> "ClassCodes":
        """Return these codes with the counts of some entries: themselves where those are all, in order."""
        if rows.is_range and rows.count == self.codes.size:
            return self
        n_missing, counts = _counts(rows.taken(self.codes) if rows.count else self.codes[:0], self.offset, self.classes)
        return replace(self, counts=counts, n_missing=n_missing)

    def refuse_missing(self, name: str) -> None:
        """Raise an `ArgumentValueError` if a label is missing among the entries that are counted."""
        if self.n_missing:
            message = (
                f"{name} has {self.n_missing} missing values among {self.n_missing + self.counts.sum()}; give those "
                "rows a class of their own, or leave them out with indices."
            )
            raise ArgumentValueError(message)

    def from_zero(self) -> Array:
        """Return codes that count from 0, as uint8, uint16 or int32: without a copy where they already are such."""
        n_classes = self.classes.size
        dtype = np.dtype(np.uint8 if n_classes <= 1 << 8 else np.uint16 if n_classes <= 1 << 16 else np.int32)
        if self.offset == 0 and self.codes.dtype == dtype:
            return self.codes
        if self.offset == 0 and self.codes.dtype.isnative and self.codes.dtype.itemsize == dtype.itemsize:
            return self.codes.view(dtype)
        return _shifted(self.codes, self.offset, dtype)


def encode_labels(labels: ArrayLike | Sequence[Hashable], name: str = "labels") -> ClassCodes:
    """Encode labels: strings, integers, floats, booleans, categoricals (pandas), lists and arrays of them.

    Parameters
    ----------
    labels
        One label an entry.
    name
        Their name in errors.

    Raises
    ------
    ArgumentValueError
        If there are no labels. Those that are missing (None, NaN, pandas.NA) are counted.
    ArgumentTypeError
        If labels cannot be compared.
    """
    labels = cast("ArrayLike", one_axis(labels))
    categorical = getattr(labels, "cat", labels)  # a pandas Series of categories keeps its codes there
    if hasattr(categorical, "codes") and hasattr(categorical, "categories"):
        return _counted(np.asarray(categorical.codes), 0, np.asarray(categorical.categories), name)
    values: Array | Sequence[object]
    values = cast("Sequence[object]", labels)
    if not isinstance(labels, (list, tuple)):
        shape = getattr(labels, "shape", None)
        if isinstance(shape, tuple) and len(shape) > 1:  # told before one iterates over an AnnData, row by row
            raise _several_axes(name, labels, shape)
        values = np.asarray(labels)
        if values.ndim == 0:
            message = f"{name}={reprlib.repr(labels)} is of type {type(labels).__name__}; give one label a row."
            raise ArgumentValueError(message)
        if values.ndim != 1:
            raise _several_axes(name, labels, values.shape)
        if values.dtype.kind in "iub":
            return _of_integers(values, name)
        if values.dtype.kind == "f":
            return _of_floats(values, name)
    return _of_objects(values, name)


def _several_axes(name: str, labels: object, shape: tuple[int, ...]) -> ArgumentValueError:
    message = (
        f"{name}, of type {type(labels).__name__}, has shape {shape}; give one label a row of the collection or one an "
        "index."
    )
    return ArgumentValueError(message)


def _of_integers(values: Array, name: str) -> ClassCodes:
    if values.size == 0:
        return _counted(values, 0, values, name)
    kind = values.dtype
    if kind.kind == "b":
        values = values.view(np.uint8)
    bounds = in_parts(values.size, lambda start, stop: (values[start:stop].min(), values[start:stop].max()))
    first, last = int(min(low for low, _ in bounds)), int(max(high for _, high in bounds))
    n_classes = last - first + 1
    if n_classes > _MAX_SMALL:
        classes, codes = np.unique(values, return_inverse=True)
        return _counted(codes.astype(np.min_scalar_type(classes.size)), 0, classes, name)
    classes = np.array(range(first, last + 1), kind)  # numpy's arange ends below 2**63
    if values.dtype.itemsize <= np.dtype(np.uint16).itemsize and values.dtype.isnative:
        return _counted(values, first, classes, name)
    codes = _shifted(values, first, np.dtype(np.uint8 if n_classes <= 1 << 8 else np.uint16))
    return _counted(codes, 0, classes, name)


def _shifted(values: Array, first: int, dtype: DType) -> Array:
    """Return ``values - first`` as ``dtype``, in parts that need little memory."""
    codes = np.empty(values.size, dtype)
    for start in range(0, values.size, _CHUNK):
        codes[start : start + _CHUNK] = values[start : start + _CHUNK] - first
    return codes


def _of_floats(values: Array, name: str) -> ClassCodes:
    is_missing = np.isnan(values)
    classes = np.unique(values[~is_missing])
    if np.any(classes != np.round(classes)):
        warn(
            f"{name} has fractional numbers ({', '.join(map(str, classes[:3].tolist()))}, ...), and each of the "
            f"{classes.size} different ones is a class of its own; cut them into intervals first, as numpy.digitize "
            "does, or give strings to silence this.",
        )
    if is_missing.any():
        return encode_present(values, ~is_missing, name)
    codes = np.searchsorted(classes, values)
    return _counted(codes.astype(np.min_scalar_type(classes.size)), 0, classes, name)


def encode_present(values: Array, is_present: NDArray[np.bool_], name: str) -> ClassCodes:
    """Encode the values that are present; the others are missing."""
    classes, codes = np.unique(values[is_present], return_inverse=True)
    placed = np.full(values.size, -1, np.promote_types(np.int8, np.min_scalar_type(classes.size)))
    placed[is_present] = codes
    return _counted(placed, 0, classes, name)


class _CodeOf(dict[Hashable, int]):
    """Gives every label that it has not seen the next code, and a missing one -1."""

    def __missing__(self, label: Hashable) -> int:
        if _is_missing(label):
            return -1
        self[label] = code = len(self)
        return code


def _of_objects(values: Sequence[Hashable] | Array, name: str) -> ClassCodes:
    code_of = _CodeOf()
    codes = np.empty(len(values), np.int16)
    iterator = _in_chunks(values) if isinstance(values, np.ndarray) else iter(values)
    for start in range(0, len(values), _CHUNK):
        try:
            chunk = np.fromiter(map(code_of.__getitem__, islice(iterator, _CHUNK)), np.int32)
        except TypeError as error:
            message = f"{name} cannot be compared ({error}); give strings, integers or categories."
            raise ArgumentTypeError(message) from error
        if len(code_of) > np.iinfo(codes.dtype).max:
            codes = codes.astype(np.int32)
        codes[start : start + chunk.size] = chunk
    classes = np.empty(len(code_of), object)
    classes[:] = list(code_of)
    return _counted(codes, 0, classes, name)


def _in_chunks(values: Array) -> Iterator[Hashable]:
    """Iterate over Python objects: a tolist of everything would hold them all at once."""
    for start in range(0, values.size, _CHUNK):
        yield from values[start : start + _CHUNK].tolist()


def _is_missing(label: Hashable) -> bool:
    if label is None:
        return True
    try:
        return bool(label != label)  # noqa: PLR0124 what sets NaN and NaT apart
    except TypeError:  # pandas.NA refuses to be true or false
        return True


def _counted(codes: Array, offset: int, classes: Array, name: str) -> ClassCodes:
    if codes.size == 0:
        message = f"{name} is empty; give one label a row of the collection or one an index."
        raise ArgumentValueError(message)
    n_missing, counts = _counts(codes, offset, classes)
    return ClassCodes(codes, offset, classes, counts, n_missing)


def _counts(codes: Array, offset: int, classes: Array) -> tuple[int, NDArray[np.int64]]:
    """Return the number of missing labels and the entries of each class, shape ``(n_classes,)``."""
    parts = in_parts(codes.size, lambda start, stop: _histogram(codes[start:stop], offset, classes.size))
    counts = np.sum(parts, axis=0) if parts else np.zeros(classes.size + 1, np.int64)
    return int(counts[0]), counts[1:]


@compiled
def _histogram(codes: Array, offset: int, n_classes: int) -> NDArray[np.int64]:
    """Count missing entries (place 0) and each class (places 1 to n_classes)."""
    even = np.zeros(n_classes + 1, np.int64)  # two counts: neighbours of one class would wait for each other
    odd = np.zeros(n_classes + 1, np.int64)
    for i in range(0, codes.size - 1, 2):
        even[max(int(codes[i]) - offset, -1) + 1] += 1
        odd[max(int(codes[i + 1]) - offset, -1) + 1] += 1
    if codes.size % 2:
        even[max(int(codes[-1]) - offset, -1) + 1] += 1
    return even + odd

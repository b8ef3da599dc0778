"""Checks of arguments, each with one message: the value given, the values allowed, the remedy."""

import io
import math
import operator
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from difflib import get_close_matches

import numpy as np

from scdataset._tables import counted
from scdataset._types import Array
from scdataset.errors import ArgumentTypeError, ArgumentValueError

__all__ = [
    "array",
    "finite",
    "flag",
    "hook",
    "made",
    "names",
    "nearest",
    "number",
    "one_axis",
    "one_of",
    "optional_names",
    "optional_text",
    "optional_whole",
    "ordered_names",
    "positive",
    "warn",
    "whole",
]

_SEVERAL = (Sequence, AbstractSet, Iterator, ValuesView)
"""Holders of names, beside arrays; of other things to iterate over, such as frames, it is not clear which are meant."""

_LARGEST = 2**63 - 1
"""The largest number that compiled code and files take."""

_BYTES = (bytes, bytearray, memoryview, io.IOBase)


def whole(name: str, value: object, *, minimum: int, maximum: int | None = None) -> int:
    """Return ``value`` as an int if it is a whole number in [minimum, maximum], both inclusive, and fits in 64 bits.

    Raises
    ------
    ArgumentTypeError
        For anything but an integer; ``True`` and ``2.0`` are not integers here.
    ArgumentValueError
        Outside the bounds.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # anything that is no integer is refused here
    except TypeError:
        number = None
    if maximum is None and number is not None and number > _LARGEST:
        maximum = _LARGEST
    allowed = f"an integer of at least {minimum}" + ("" if maximum is None else f" and at most {maximum}")
    if number is None or isinstance(value, bool):
        message = f"{name}={value!r} is of type {type(value).__name__}; give {allowed}."
        raise ArgumentTypeError(message)
    if number < minimum or (maximum is not None and number > maximum):
        message = f"{name}={number} is out of bounds; give {allowed}."
        raise ArgumentValueError(message)
    return number


def optional_whole(name: str, value: object, *, minimum: int, maximum: int | None = None) -> int | None:
    """As `whole`, and None stays None."""
    return None if value is None else whole(name, value, minimum=minimum, maximum=maximum)


def number(name: str, value: object) -> float:
    """Return ``value`` if it is a real number, numpy's included; a boolean is not one.

    Raises
    ------
    ArgumentTypeError
        For anything else.
    ArgumentValueError
        For integers that are too large for a float.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        message = f"{name}={value!r} is of type {type(value).__name__}; give a number."
        raise ArgumentTypeError(message)
    try:
        float(value)
    except OverflowError as error:
        message = f"{name} is an integer of {counted(len(str(value)), 'digit')}; give a number that a float holds."
        raise ArgumentValueError(message) from error
    return value  # type: ignore[return-value]  # numpy's numbers act as floats


def array(name: str, values: object, allowed: str, kinds: str | None = "fiub") -> Array:
    """Return values as an array.

    Parameters
    ----------
    allowed
        Whatever should be given, for errors.
    kinds
        Kinds of dtypes that are taken, None for all; an empty list has any.

    Raises
    ------
    ArgumentTypeError
        If they are of another type, or lists of different lengths.
    """
    try:
        found = np.asarray(values)
    except (TypeError, ValueError) as error:
        message = f"{name} is of type {type(values).__name__}, of which numpy makes no array ({error}); give {allowed}."
        raise ArgumentTypeError(message) from error
    if kinds is not None and found.size and found.dtype.kind not in kinds:
        message = f"{name} has shape {found.shape} and dtype {found.dtype}; give {allowed}."
        raise ArgumentTypeError(message)
    return found


def one_axis(values: object) -> object:
    """Return values along one axis where their only other one has length 1; anything else as it is.

    Such are a frame of one column, the sums of a sparse matrix along its rows, and the results of `numpy.where` and
    `numpy.argwhere` for one axis.
    """
    if isinstance(values, tuple) and len(values) == 1 and isinstance(values[0], np.ndarray):
        return values[0]
    shape: tuple[int, ...] = getattr(values, "shape", ())
    if len(shape) != 2 or 1 not in shape:
        return values
    if hasattr(values, "iloc"):  # a frame, whose index goes on with the column
        return values.iloc[:, 0] if shape[1] == 1 else values
    return np.asarray(values).reshape(-1)


def finite(name: str, value: object) -> float:
    """Return ``value`` as a float if it is a finite number."""
    if not math.isfinite(number(name, value)):
        message = f"{name}={value}; give a finite number."
        raise ArgumentValueError(message)
    return float(value)  # type: ignore[arg-type]


def positive(name: str, value: object) -> float:
    """Return ``value`` if it is a finite number above 0."""
    if not (number(name, value) > 0 and math.isfinite(value)):  # type: ignore[arg-type]
        message = f"{name}={value}; give a finite number above 0."
        raise ArgumentValueError(message)
    return value  # type: ignore[return-value]


def flag(name: str, value: object) -> bool:
    """Return ``value`` as a bool if it is True, False, 0 or 1, also numpy's; anything else has no single meaning."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, np.integer)) and value in (0, 1)):
        return bool(value)
    message = f"{name}={value!r} is of type {type(value).__name__}; give True or False."
    raise ArgumentTypeError(message)


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return ``value`` if it is one of the ``allowed`` words."""
    if not isinstance(value, str) or value not in allowed:
        words = [f'"{word}"' for word in allowed]
        message = f"{name}={value!r} is not known; give {', '.join(words[:-1])} or {words[-1]}."
        raise ArgumentValueError(message)
    return value


def names(name: str, value: object) -> list[str]:
    """Return names as a list; those of a set are sorted, since its order differs between processes.

    Raises
    ------
    ArgumentTypeError
        If they are no names, or not several.
    """
    if isinstance(value, str):
        message = f"{name}={value!r} is a string; give a list of names, [{value!r}]."
        raise ArgumentTypeError(message)
    is_array = hasattr(value, "__array__") and getattr(value, "ndim", 1) == 1
    if not (is_array or isinstance(value, _SEVERAL)) or isinstance(value, _BYTES):
        message = f"{name} is of type {type(value).__name__}; give a list of names."
        raise ArgumentTypeError(message)
    given = list(value)  # type: ignore[call-overload]  # an array
    wrong = [one for one in given if not isinstance(one, str)]
    if wrong:
        message = f"{name} has {wrong[0]!r} of type {type(wrong[0]).__name__}; give a list of names, which are strings."
        raise ArgumentTypeError(message)
    listed = [str(one) for one in given]
    return sorted(listed) if isinstance(value, AbstractSet) else listed


def ordered_names(name: str, value: object) -> list[str]:
    """As `names`, for those that go by position, which a set does not have."""
    if isinstance(value, AbstractSet):
        message = f"{name} is of type {type(value).__name__}, which has no order; give a list of names."
        raise ArgumentTypeError(message)
    return names(name, value)


def optional_names(name: str, value: object) -> list[str] | None:
    """As `names`, and None stays None."""
    return None if value is None else names(name, value)


def optional_text(name: str, value: object, allowed: str = "a string, or None") -> str | None:
    """Return ``value`` if it is a string or None."""
    if value is None or isinstance(value, str):
        return value
    message = f"{name}={value!r} is of type {type(value).__name__}; give {allowed}."
    raise ArgumentTypeError(message)


def hook(name: str, value: Callable[..., object] | None) -> Callable[..., object] | None:
    """Return ``value`` if it can be called or is None."""
    if value is not None and not callable(value):
        message = f"{name}={value!r} is of type {type(value).__name__}; give a function, or None for the default."
        raise ArgumentTypeError(message)
    return made(name, value)


def made(name: str, value: Callable[..., object] | None) -> Callable[..., object] | None:
    """Return a callable; refuse a class given in place of an object of it, such as ``Log1p`` for ``Log1p()``."""
    if isinstance(value, type) and any("__call__" in vars(base) for base in value.__mro__):
        message = f"{name} is the class {value.__name__}; give an object of it, such as {value.__name__}(...)."
        raise ArgumentTypeError(message)
    return value


def nearest(given: object, there: Iterable[object]) -> str:
    """Return the end of a sentence: a full stop, or one and a question that offers the nearest names."""
    names = {str(name).lower(): str(name) for name in there if name is not None}
    found = [names[name] for name in get_close_matches(str(given).lower(), list(names), n=3)]
    return f". Did you mean {' or '.join(map(repr, found))}?" if found else "."


def warn(message: str) -> None:
    """Warn with a `UserWarning` that points at the line outside this package that led here."""
    frame, level = sys._getframe(), 1  # noqa: SLF001 as inspect.currentframe
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _is_ours(module: object) -> bool:
    """Tell whether a module is part of this package; code that ``exec`` runs may have no module name at all."""
    return isinstance(module, str) and module.startswith("scdataset.")

"""Compiled loops over decimal text: two whole numbers and a value a line."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scdataset._compiled import compiled

__all__ = ["parse_lines"]

_NEWLINE, _SPACE, _TAB, _RETURN, _PERCENT = 10, 32, 9, 13, 37
_ZERO, _PLUS, _MINUS, _POINT, _LOWER_E, _UPPER_E = 48, 43, 45, 46, 101, 69

_PATTERN, _INTEGER = ord("p"), ord("i")

_DONE, _LATER, _WRONG = 0, 1, 2
"""What became of a value."""

_LARGEST = (1 << 62) // 10
"""A whole number that still takes a digit."""

_EXACT = 1 << 53
"""Whole numbers up to here are float64, and so are powers of ten up to 10**22: their product is rounded once."""

_POWERS = 10.0 ** np.arange(23)


@compiled
def parse_lines(
    text: NDArray[np.uint8],
    kind: int,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    wholes: NDArray[np.int64],
    reals: NDArray[np.float64],
    tokens: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Parse lines of a row, a column, both from 1 on, and a value; empty lines and those that begin with % are skipped.

    Parameters
    ----------
    text
        Whole lines, each with its end.
    kind
        The letter ``p`` for lines without a value, ``i`` for whole numbers, ``f`` for others.
    rows, columns
        Where they go, from 0 on; as long as there can be lines.
    wholes, reals
        Where whole numbers go, and where others do; these may be the same memory.
    tokens
        Entry and first byte of each value that is not parsed here, since it has too many digits.

    Returns
    -------
    The number of entries, the number of tokens, and the first byte of a line that is no entry, or -1.
    """
    n: Any = np.int64(0)  # as what they become: what they are passed to would be compiled for both
    at: Any = np.int64(0)
    n_tokens = 0
    while at < text.size:
        line = at
        at = _skip_blanks(text, at)
        if text[at] == _NEWLINE:
            at += 1
            continue
        if text[at] == _PERCENT:
            at = _line_end(text, at)
            continue
        row, at = _whole(text, at)
        column, at = _whole(text, _skip_blanks(text, at))
        if row < 1 or column < 1:
            return n, n_tokens, line
        rows[n] = row - 1
        columns[n] = column - 1
        at, state = _value(text, _skip_blanks(text, at), kind, wholes, reals, n)
        if state == _LATER:
            tokens[n_tokens, 0] = n
            tokens[n_tokens, 1] = at
            n_tokens += 1
            at = _line_end(text, at)
        at = _skip_blanks(text, at)
        if state == _WRONG or text[at] != _NEWLINE:
            return n, n_tokens, line
        at += 1
        n += 1
    return n, n_tokens, -1


@compiled
def _value(
    text: NDArray[np.uint8], at: int, kind: int, wholes: NDArray[np.int64], reals: NDArray[np.float64], n: int
) -> tuple[int, int]:
    """Parse the value of entry n; return where it ends, or begins if it is to be parsed later, and which of these."""
    if kind == _PATTERN:
        return at, _DONE
    if kind == _INTEGER:
        negative = text[at] == _MINUS
        number, end = _whole(text, at + 1 if negative or text[at] == _PLUS else at)
        wholes[n] = -number if negative else number
        return end, _WRONG if number < 0 else _DONE
    real, end, exact = _real(text, at)
    reals[n] = real
    return (end, _DONE) if exact else (at, _LATER)


@compiled
def _line_end(text: NDArray[np.uint8], at: int) -> int:
    while text[at] != _NEWLINE:
        at += 1
    return at


@compiled
def _skip_blanks(text: NDArray[np.uint8], at: int) -> int:
    while text[at] == _SPACE or text[at] == _TAB or text[at] == _RETURN:
        at += 1
    return at


@compiled
def _whole(text: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Return a whole number and where it ends; -1 where there is none, or one that is too large."""
    start = at
    number = 0
    while _is_digit(text[at]):
        if number > _LARGEST:
            return -1, at
        number = number * 10 + int(text[at] - _ZERO)
        at += 1
    return (number if at > start else -1), at


@compiled
def _is_digit(byte: int) -> bool:
    return _ZERO <= byte < _ZERO + 10


@compiled
def _real(text: NDArray[np.uint8], at: int) -> tuple[float, int, bool]:
    """Return a number, where it ends, and whether it is exact; it is not where it has many digits or is none."""
    negative = text[at] == _MINUS
    if negative or text[at] == _PLUS:
        at += 1
    digits = 0
    n_digits = 0
    power = 0
    while _is_digit(text[at]) or (text[at] == _POINT and power == 0):
        if text[at] == _POINT:
            power = 1
        else:
            if digits > _LARGEST:
                return 0.0, at, False
            digits = digits * 10 + int(text[at] - _ZERO)
            n_digits += 1
            power += 1 if power else 0
        at += 1
    exponent = 1 - power if power else 0
    if text[at] == _LOWER_E or text[at] == _UPPER_E:
        below = text[at + 1] == _MINUS
        given, at = _whole(text, at + 2 if below or text[at + 1] == _PLUS else at + 1)
        if given < 0 or given > 400:
            return 0.0, at, False
        exponent += -given if below else given
    if n_digits == 0 or digits >= _EXACT or not -22 <= exponent <= 22:
        return 0.0, at, False
    number = digits / _POWERS[-exponent] if exponent < 0 else digits * _POWERS[exponent]
    return (-number if negative else number), at, True

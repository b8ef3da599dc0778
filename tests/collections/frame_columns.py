"""Columns of every type."""

import datetime as dt
import decimal

import numpy as np
import polars as pl
from tests.collections.reference import IDS, N_ROWS

ROWS = np.array([3, 36, 3, 0, 20])


TYPES = [f"type {row % 3}" for row in IDS]


COLUMNS = {
    "integer": pl.Series(IDS, dtype=pl.Int16),
    "float": pl.Series([None if row % 4 else row / 7 for row in IDS]),
    "text": pl.Series([None if row % 5 == 1 else "é" * row for row in IDS]),
    "category": pl.Series(TYPES, dtype=pl.Categorical),
    "enum": pl.Series(TYPES, dtype=pl.Enum(sorted(set(TYPES)))),
    "boolean": pl.Series(IDS % 2 == 0),
    "date": pl.Series([dt.date(2020, 1, 1) + dt.timedelta(int(row)) for row in IDS]),
    "time": pl.Series([dt.datetime(2020, 1, 1, int(row) % 24, tzinfo=dt.UTC) for row in IDS]),
    "decimal": pl.Series([decimal.Decimal(int(row)) / 4 for row in IDS], dtype=pl.Decimal(10, 2)),
    "bytes": pl.Series([bytes([row]) for row in IDS]),
    "list": pl.Series([[int(row)] * (row % 3) for row in IDS]),
    "array": pl.Series(np.outer(IDS, [1.0, 2.0])),
    "struct": pl.Series([{"a": int(row), "b": {"c": str(row)}} for row in IDS]),
    "null": pl.Series([None] * N_ROWS),
}

"""Types of the package say more than that anything will do."""

import io
import tokenize
from pathlib import Path

import scdataset
from scdataset import _types

PACKAGE = Path(scdataset.__file__).parent

MOST = 9.5
"""Names ``Any`` in 1,000 lines. What is left are values and hooks of the user's, options that are passed on, rows of
kernels, and classes of packages that are published under two names."""


def names_of_any(code):
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return sum(token.type == tokenize.NAME and token.string == "Any" for token in tokens)


def test_any_is_rare():
    files = [path.read_text() for path in PACKAGE.rglob("*.py")]
    lines = sum(len(code.splitlines()) for code in files)
    assert sum(map(names_of_any, files)) <= MOST * lines / 1000


def test_data_with_rows_has_a_type_that_is_looked_at():
    assert _types.RowData is object
    assert _types.Json == dict[str, object]

"""Types of the package say more than that anything will do."""

import ast
import io
import tokenize
from pathlib import Path

import scdataset
from scdataset import _types

PACKAGE = Path(scdataset.__file__).parent

MOST = 10
"""Names ``Any``, imports among them, in 1,000 lines of code. What is left are values and hooks of the user's, options
that are passed on, and classes of packages that are published under two names."""

NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def counts(code):
    """Return the lines of code, without docstrings, comments and blank lines, and how often they name ``Any``."""
    alone = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Expr)]
    texts = {(node.lineno, node.col_offset) for node in alone if isinstance(node, ast.Constant)}
    lines, names = set(), 0
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type not in NO_CODE and token.start not in texts:
            lines.update(range(token.start[0], token.end[0] + 1))
            names += token.string == "Any" or (token.type == tokenize.STRING and "[Any" in token.string)
    return len(lines), names


def test_any_is_rare():
    found = [counts(path.read_text()) for path in PACKAGE.rglob("*.py")]
    lines, names = map(sum, zip(*found, strict=True))
    assert names <= MOST * lines / 1000


def test_data_with_rows_has_a_type_that_is_looked_at():
    assert _types.RowData is object
    assert _types.Json == dict[str, object]

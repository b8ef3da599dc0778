"""Short tables of names and values."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import scdataset
from scdataset._tables import counted, html_table, size, text_table, verb

SOURCE = Path(scdataset.__file__).parent
NOUNS = (
    "arrays barcodes batches bytes cells classes columns digits elements entries features files genes groups labels "
    "layers lists modalities names processes ranks rows samples threads values windows workers"
)
COUNT = re.compile(f" (?:(?:selected|missing|stored|DataLoader) )?(?:{NOUNS.replace(' ', '|')})\\b(?!/s)")
COMPILED = re.compile(r"^from scdataset\._compiled import .*\bcompiled\b", re.MULTILINE)
NOT_COUNTS = re.compile(
    r"counted\(|bytes_text\(|.*\.shape$|(path|name|url|sizes|lengths|yielded|words\[3\]|' then '.*)$"
)

ROWS = [("storage", ""), ("dtype", "<f4"), ("", "and more"), ("n_obs", "10")]


@pytest.mark.parametrize(
    ("n_bytes", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (20_480, "20.0 KiB"),
        (2**29, "512 MiB"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(n_bytes, said):
    assert size(n_bytes) == said


def test_values_stand_below_each_other_and_sections_alone():
    assert text_table("Cells", ROWS).splitlines() == [
        "Cells",
        " storage",
        "  dtype  <f4",
        "         and more",
        "  n_obs  10",
    ]
    assert text_table("Cells", []) == "Cells"


def test_text_is_escaped_in_html():
    shown = html_table("A & B", ROWS)
    assert "A &amp; B" in shown
    assert ">&lt;f4</td>" in shown
    assert '<th colspan="2" style="text-align:left">storage</th>' in shown


@pytest.mark.parametrize(
    ("n", "noun", "said"),
    [
        (1, "value", "1 value"),
        (0, "row", "0 rows"),
        (2_000, "batch", "2,000 batches"),
        (3, "class", "3 classes"),
        (2, "category", "2 categories"),
        (1, "entry", "1 entry"),
        (2, "array", "2 arrays"),
        (1.2, "row", "1 row"),
        (12_345.6, "row", "12,346 rows"),
    ],
)
def test_nouns_go_with_their_number(n, noun, said):
    assert counted(n, noun) == said


def test_verbs_go_with_the_number_of_their_subject():
    assert [verb(n, word) for n in (0, 1, 2) for word in ("are", "have")] == ["are", "have", "is", "has", "are", "have"]


def counts_before_nouns(path):
    """Yield the counts in messages of a module that a noun follows whatever they are."""
    for text in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for value, after in pairwise(text.values if isinstance(text, ast.JoinedStr) else ()):
            if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant) and COUNT.match(after.value):
                counted_value = ast.unparse(value.value)
                if not NOT_COUNTS.match(counted_value):
                    yield f"{path.relative_to(SOURCE)}:{value.lineno}: {counted_value}{after.value}"


def test_messages_count_with_the_noun_that_goes_with_the_number():
    # Left out: modules with compiled functions, which are compiled again after an edit, and texts of strategies, by
    # which saved states know them.
    modules = [path for path in sorted(SOURCE.rglob("*.py")) if not COMPILED.search(path.read_text(encoding="utf-8"))]
    found = [line for path in modules for line in counts_before_nouns(path) if not re.search(r"^strategy/.*>", line)]
    assert not found, "\n".join(found)

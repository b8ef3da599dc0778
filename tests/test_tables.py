"""Short tables of names and values."""

import pytest

from scdataset._tables import counted, html_table, size, text_table, verb

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
    ],
)
def test_nouns_go_with_their_number(n, noun, said):
    assert counted(n, noun) == said


def test_verbs_go_with_the_number_of_their_subject():
    assert [verb(n, word) for n in (0, 1, 2) for word in ("are", "have")] == ["are", "have", "is", "has", "are", "have"]

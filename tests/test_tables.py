"""Short tables of names and values."""

import pytest

from scdataset._tables import html_table, size, text_table

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

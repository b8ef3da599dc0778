"""Blocks of results: plain lines in a pipe, drawn in a terminal, JSON for programs."""

import json
import sys

import numpy as np
import pytest

from scdataset._tables import bytes_text
from scdataset.cli import _output
from scdataset.cli._output import Bar, Fields, Heading, Line, Table, Text, show, show_json

BLOCKS = [
    Heading("cells"),
    Fields((("format", "h5ad"), ("on disk", "3 MB"))),
    Table(("name", "n"), (("a", "1"), ("bc", "20")), frozenset({1})),
    Text("slow", "bad"),
    Line("scdataset info 'a b.h5ad'"),
    Bar(0.5, "half"),
]


def test_a_pipe_gets_plain_lines(capsys):
    show(BLOCKS)
    bar = "#" * 20 + "." * 20
    assert capsys.readouterr().out == (
        "\ncells\n  format   h5ad\n  on disk  3 MB\n  name   n\n  a      1\n  bc    20\n! slow\n"
        f"  scdataset info 'a b.h5ad'\n  [{bar}] half\n"
    )


def test_a_terminal_gets_all_of_it_within_its_width(monkeypatch, capsys):
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    show([*BLOCKS, Text("word " * 40, "note")])
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("cells", "h5ad", "bc", "slow", "half", "━"))
    assert max(map(len, printed.splitlines())) < 160


def test_a_narrow_terminal_gets_every_figure_of_a_table(monkeypatch, capsys):
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "xterm")
    table = Table(("name", "kind", "categories"), (("observation_joinid_of_cells", "labels", "1,000"),), frozenset({2}))
    show([table])
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("observation_joinid_of_cells", "labels", "1,000"))


def test_a_terminal_without_rich_gets_plain_lines(monkeypatch, capsys):
    import importlib.util

    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    show([Heading("cells")])
    assert capsys.readouterr().out == "\ncells\n"


def test_json_has_numbers_of_numpy_and_null_for_what_is_no_number(capsys):
    show_json({"a": np.int64(3), "b": float("nan"), "c": (np.arange(2),), "d": None})
    assert json.loads(capsys.readouterr().out) == {"a": 3, "b": None, "c": [[0, 1]], "d": None}


@pytest.mark.parametrize(("n", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 KB"), (2.5e13, "25 TB")])
def test_bytes_come_in_the_unit_that_fits(n, said):
    assert bytes_text(n) == said


def test_text_of_a_table_is_folded_where_its_words_are_too_long_for_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(_output, "_is_rich", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    show([Table(("name", "n", "examples"), (("a" * 20, "1,000", "b" * 40),), frozenset({1}))])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert "".join(lines).count("b") == 40
    assert "a" * 20 in lines[1]
    assert "1,000" in lines[1]


def test_code_stays_on_one_line_and_nothing_is_padded(monkeypatch, capsys):
    monkeypatch.setattr(_output, "_is_rich", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    show([Line("scdataset info a_long_name.h5ad"), Text("ten words")])
    assert capsys.readouterr().out == "  scdataset info a_long_name.h5ad\nten words\n"


def test_examples_are_cut_short_before_names_are_folded_and_empty_columns_are_left_out(monkeypatch, capsys):
    monkeypatch.setattr(_output, "_is_rich", lambda: True)
    table = Table(
        ("name", "n", "missing", "examples"), (("a" * 30, "1,000", "", "b" * 40),), frozenset({1}), examples=True
    )
    shown = {}
    for width in (90, 60, 50):
        monkeypatch.setenv("COLUMNS", str(width))
        show([table])
        shown[width] = capsys.readouterr().out
        assert "missing" not in shown[width]
        assert all(len(line) <= width for line in shown[width].splitlines())
    assert "b" * 40 in shown[90]
    assert f"{'a' * 30}  1,000  {'b' * 16}…" in shown[60]
    assert shown[50].count("a") == 30 + "name examples".count("a")
    assert "b" * 9 + "…" in shown[50]

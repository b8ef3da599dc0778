"""Drawings and tables that are committed are those that their scripts draw."""

import importlib.util
import sys

import pytest
from tests.docs.pages import ROOT

DOCS = ROOT / "docs"


@pytest.fixture
def script(monkeypatch):
    """Return a function that loads a script of the drawings by its name."""

    def load(name):
        monkeypatch.syspath_prepend(DOCS / "drawings")
        spec = importlib.util.spec_from_file_location(f"drawings_{name}", DOCS / "drawings" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.delitem(sys.modules, "svg")
        return module

    return load


@pytest.mark.parametrize("name_of_script", ["chart", "learning", "predictions"])
def test_charts_and_tables_are_those_of_the_results(script, name_of_script):
    for name, content in script(name_of_script).drawn().items():
        assert (DOCS / "performance" / name).read_text() == content


def test_drawings_show_orders_as_the_package_makes_them(script):
    for name, draw in script("concepts").DRAWINGS.items():
        assert (DOCS / "concepts" / name).read_text() == draw()

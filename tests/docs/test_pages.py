"""The code of README and documentation runs, block after block, as a reader would run it."""

import re
from importlib.util import find_spec

import pytest
from tests.docs.pages import PAGES, ROOT, blocks_of, name_of, rows_of_code, run

from scdataset import __version__

NEEDS = {"docs/guides/cellstream.md": "cellstream"}
SLOW = ("docs/guides/lightning.md", "docs/guides/ray.md", "docs/guides/scvi-tools.md", "docs/tutorial.md")

RUN = [
    pytest.param(page, id=name_of(page), marks=[pytest.mark.slow] if name_of(page) in SLOW else [])
    for page in PAGES
    if any(blocks_of(page))
]


@pytest.mark.parametrize("page", RUN)
def test_the_code_of_a_page_runs(page, folder_of_a_reader):
    needed = NEEDS.get(name_of(page))
    if needed and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    run(page, {"__name__": "__main__"})


def test_the_readme_and_every_guide_has_code_that_runs():
    shown = {name_of(page) for page in PAGES if any(blocks_of(page))}
    guides = {name_of(page) for page in (ROOT / "docs" / "guides").glob("*.md")} - {"docs/guides/index.md"}
    assert guides | {"README.md", "docs/tutorial.md"} <= shown


LINK = re.compile(r"\]\(((?!https?://|mailto:|#)[^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page):
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize("name", ["LICENSE", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "Makefile"])
def test_what_the_readme_names_exists(name):
    assert (ROOT / name).exists()
    assert name in (ROOT / "README.md").read_text()


def test_modules_that_contributors_are_sent_to_exist():
    named = re.findall(r"`([a-z_/0-9]+\.py)`", (ROOT / "CONTRIBUTING.md").read_text())
    places = [ROOT, ROOT / "src/scdataset"]
    assert len(named) > 10
    assert not [name for name in named if not any((place / name).exists() for place in places)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_is_no_wider_than_the_page(page):
    assert not [line for line, row in rows_of_code(page) if len(row) > 79]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml", "docs/conf.py"])
def test_the_version_is_said_in_one_place(name):
    assert __version__ not in (ROOT / name).read_text()

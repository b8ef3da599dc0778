"""Each guarantee shows tests that there are."""

import re

import pytest
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "guarantees.md").read_text()
SHOWN = re.findall(r"literalinclude\} \.\./(\S+)\n:language: py\n:pyobject: (\w+)", PAGE)


@pytest.mark.parametrize(("file", "name"), SHOWN)
def test_the_test_of_a_guarantee_is_there(file, name):
    assert f"\ndef {name}(" in (ROOT / file).read_text()


def test_every_guarantee_has_a_test():
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    assert len(sections) == 14
    assert not [section.partition("\n")[0] for section in sections if "literalinclude" not in section]

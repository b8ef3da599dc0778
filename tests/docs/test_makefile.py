"""make help lists what there is."""

import re

from tests.docs.pages import ROOT

INTERNAL = {"help", "style", "types", "test-fast"}


def test_help_lists_every_target():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    listed = set(re.findall(r'@echo "make ([\w-]+) ', text))
    assert listed == targets - INTERNAL


def test_pages_name_targets_that_there_are():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    for name in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:`|^)make ([\w-]+)", (ROOT / name).read_text(), re.MULTILINE))
        assert named <= targets

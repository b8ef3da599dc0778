"""The API reference lists every public name."""

import importlib
import re

from tests.docs.pages import ROOT

REFERENCE = (ROOT / "docs" / "api" / "index.md").read_text()
MODULES = ["scdataset", "scdataset.transforms", "scdataset.pp", "scdataset.testing", "scdataset.simulation"]


def listed():
    """Yield the full names that the reference lists."""
    module = ""
    for line in REFERENCE.splitlines():
        if found := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = found[1]
        elif found := re.match(r"   (\w[\w.]*)$", line):
            yield f"{module}.{found[1]}"


def public(module):
    """Yield the public objects of a module that are no modules themselves."""
    for name in importlib.import_module(module).__all__:
        thing = getattr(importlib.import_module(module), name)
        if not hasattr(thing, "__path__"):
            yield name, thing


def test_every_public_name_is_listed_and_every_listed_name_exists():
    found = {}
    for name in listed():
        module, _, attribute = name.rpartition(".")
        if not module.startswith("scdataset.integrations"):  # slow to import
            found[name] = getattr(importlib.import_module(module), attribute)
    missing = [
        f"{module}.{name}"
        for module in MODULES
        for name, thing in public(module)
        if not any(thing is f for f in found.values())
    ]
    assert not missing


def test_the_data_modules_are_listed():
    assert {"scdataset.integrations.lightning.CellDataModule", "scdataset.integrations.scvi.ScviDataModule"} <= set(
        listed()
    )

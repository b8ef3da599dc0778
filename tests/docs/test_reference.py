"""The API reference lists every public name."""

import importlib
import re
import tomllib

from tests.docs.pages import ROOT

from scdataset.cli._entry import parser

REFERENCE = (ROOT / "docs" / "api" / "index.md").read_text()
MODULES = [
    "scdataset",
    "scdataset.insight",
    "scdataset.transforms",
    "scdataset.pp",
    "scdataset.testing",
    "scdataset.simulation",
]

VARIABLE = re.compile(r"SCDATASET_[A-Z_]+[A-Z]")


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


def test_all_of_the_integration_with_ray_is_listed_and_exists():
    module = importlib.import_module("scdataset.integrations.ray")
    assert {f"scdataset.integrations.ray.{name}" for name in module.__all__} <= set(listed())
    assert module._MODULES.keys() == set(module.__all__)
    assert all(getattr(module, name) for name in module.__all__)


def test_the_readme_lists_every_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed_extras = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert listed_extras == set(extras) - {"docs", "dev"}


def test_every_command_is_on_the_page_of_the_command_line():
    page = (ROOT / "docs" / "command-line.md").read_text()
    commands = next(action for action in parser()._actions if action.choices and action.dest != "help").choices
    assert not [name for name in commands if f"`scdataset {name}" not in page]


def test_every_environment_variable_is_described():
    read = {name for path in (ROOT / "src").rglob("*.py") for name in VARIABLE.findall(path.read_text())}
    described = {name for path in (ROOT / "docs").rglob("*.md") for name in VARIABLE.findall(path.read_text())}
    assert {"SCDATASET_CACHE_DIR", "SCDATASET_CORES"} <= read <= described

"""How the documentation is built: ``make docs``, which needs no network."""

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sphinx.domains.python import PyObject

from scdataset import __version__

project = "scdataset"
author = "The scdataset developers"
project_copyright = f"{datetime.now(tz=UTC).year}, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "performance/*.md"]
templates_path = ["_templates"]
needs_sphinx = "8.0"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

shutil.rmtree(Path(__file__).parent / "api" / "generated", ignore_errors=True)  # pages of names that are no more
autosummary_generate = True
autodoc_typehints = "none"  # types are said in the docstrings
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "py:obj"  # single backticks in docstrings are names of this package
python_use_unqualified_type_names = True

# Other projects' pages are linked where their inventories can be had: set SCDATASET_DOCS_ONLINE=1. Without a network
# the same pages are built without those links.
_INVENTORIES = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "torch": ("https://docs.pytorch.org/docs/stable", None),
    "anndata": ("https://anndata.readthedocs.io/en/stable", None),
    "zarr": ("https://zarr.readthedocs.io/en/stable", None),
    "lightning": ("https://lightning.ai/docs/pytorch/stable", None),
    "scanpy": ("https://scanpy.readthedocs.io/en/stable", None),
}
intersphinx_mapping = _INVENTORIES if os.environ.get("SCDATASET_DOCS_ONLINE") == "1" else {}

html_theme = "sphinx_book_theme"
html_title = "scdataset"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": False,
    "navbar_persistent": [],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def setup(app: Any) -> None:
    """Show attributes as they are written in the docstrings."""
    app.connect("autodoc-process-docstring", _list_attributes_singly, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", _skip_members_of_other_packages)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"


def _skip_members_of_other_packages(*called: Any) -> bool | None:
    """Leave out methods that a class has from torch, Lightning or Python."""
    _app, _what, _name, member, skip, _options = called
    wrapped = (getattr(member, name, None) for name in ("fget", "func", "__func__"))
    function = next((one for one in wrapped if one is not None), member)
    module = getattr(function, "__module__", None) or ("" if hasattr(function, "__objclass__") else "scdataset")
    return None if skip or module.startswith("scdataset") else True


def _list_attributes_singly(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Turn "a, b" of a section of attributes into two entries, of which napoleon makes one."""
    lines[:] = list(_singly(lines))


def _singly(lines: list[str]) -> Iterator[str]:
    in_attributes = False
    names: list[str] = []
    description: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch(r"-{3,}", following):
            in_attributes = line == "Attributes"
        is_list = in_attributes and re.fullmatch(r"\w+(, \w+)+", line)
        if names and line and (is_list or not line.startswith(" ")):
            yield from (part for name in names for part in (name, *description))
            names, description = [], []
        if is_list:
            names = line.split(", ")
        elif names:
            description.append(line)
        else:
            yield line
    yield from (part for name in names for part in (name, *description))

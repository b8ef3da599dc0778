"""How the documentation is built: ``make docs``, which needs no network."""

import os
from datetime import UTC, datetime

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
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
needs_sphinx = "8.0"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": False, "show-inheritance": False}
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
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

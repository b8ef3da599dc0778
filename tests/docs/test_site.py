"""The documentation builds without a warning and without a network."""

import os
import subprocess
import sys

import pytest
from tests.docs.pages import ROOT

pytest.importorskip("sphinx_book_theme", reason="the extra docs is not installed")


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
        ROOT / "docs",
        tmp_path / "html",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "SCDATASET_DOCS_ONLINE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in ("index.html", "tutorial.html", "api/generated/scdataset.scDataset.html"):
        assert (tmp_path / "html" / page).exists()

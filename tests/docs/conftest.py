"""Files for the pages, and folders to run them in."""

import shutil
from contextlib import chdir

import pytest
from tests.docs.files import write_files


@pytest.fixture(scope="session")
def written_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    with chdir(folder):
        write_files()
    return folder


@pytest.fixture
def folder_of_a_reader(written_files, tmp_path, monkeypatch):
    """Change into a folder with files of every format, which a page may overwrite."""
    shutil.copytree(written_files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path

"""Paths that users give."""

from pathlib import Path

import pytest

from scdataset._paths import absolute, existing, listed, refuse_missing, same_place
from scdataset.errors import ArgumentTypeError, ArgumentValueError, MissingFileError


def test_a_path_is_absolute_with_its_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert absolute("path", "a/../b") == str(tmp_path / "a/../b")
    assert absolute("path", Path("~/a")) == str(tmp_path / "home/a")


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (5, ArgumentTypeError, "path=5 is of type int"),
        (b"a", ArgumentTypeError, "of type bytes"),
        ("", ArgumentValueError, "is empty"),
        ("a\0b", ArgumentValueError, "null character"),
        ("gs://bucket/a", ArgumentValueError, "is a URL"),
    ],
)
def test_what_is_no_path_is_refused(wrong, error, said):
    with pytest.raises(error, match=said):
        absolute("path", wrong)


def test_a_path_that_leads_nowhere_is_answered_with_the_folder_and_names_that_are_near(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/cells.h5ad").touch()
    assert existing("path", tmp_path / "data/cells.h5ad") == str(tmp_path / "data/cells.h5ad")
    with pytest.raises(MissingFileError, match=r"does not exist.*cells\.h5ad"):
        existing("path", tmp_path / "data/cels.h5ad")
    with pytest.raises(MissingFileError, match=r"there is no 'dta' in .*'data'"):
        existing("path", tmp_path / "dta/cells.h5ad")
    with pytest.raises(MissingFileError, match="is a file and no folder"):
        existing("path", tmp_path / "data/cells.h5ad/x")


def test_folders_are_listed_in_order_without_hidden_files(tmp_path):
    for name in ("b", ".hidden", "a"):
        (tmp_path / name).touch()
    assert [path.name for path in listed("path", str(tmp_path))] == ["a", "b"]


def test_links_are_one_place_with_what_they_lead_to(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert same_place(tmp_path / "link") == same_place(tmp_path / "a")


def test_a_url_with_one_slash_is_told(tmp_path):
    with pytest.raises(MissingFileError, match="a URL begins with s3://"):
        refuse_missing("source", str(tmp_path / "s3:" / "bucket" / "a.h5ad"))

"""Entries of zip files, damaged ones refused with the path."""

import zipfile

import pytest

from scdataset.engine.bytes.local import LocalFile
from scdataset.engine.containers import zip_members
from scdataset.errors import DamagedFileError


@pytest.fixture
def archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as written:
        written.writestr("zarr.json", "{}")
        written.writestr("X/c/0", b"0" * 100, zipfile.ZIP_DEFLATED)
    return LocalFile(str(tmp_path / "a.zip"))


def test_sizes_and_encoding_are_those_of_the_entries(archive):
    assert zip_members.is_zip(archive)
    assert zip_members.names_in(archive) == ["zarr.json", "X/c/0"]
    members = zip_members.members_of(archive)
    assert [(one.n_bytes, one.encoded) for one in members.values()] == [(2, False), (100, True)]


def test_metadata_that_are_too_large_are_refused(archive, monkeypatch):
    monkeypatch.setattr(zip_members, "MAX_METADATA", 1)
    with pytest.raises(DamagedFileError, match=r"zarr.json has 2 bytes, and metadata at most 1"):
        zip_members.members_of(archive)


def test_a_file_that_is_none_is_damaged(tmp_path):
    (tmp_path / "b.zip").write_bytes(b"no archive")
    other = LocalFile(str(tmp_path / "b.zip"))
    assert not zip_members.is_zip(other)
    with pytest.raises(DamagedFileError, match=r"b\.zip cannot be read as a zip file"):
        zip_members.names_in(other)


def test_chunks_are_told_from_metadata():
    assert zip_members.is_chunk("X/c/0")
    assert not any(map(zip_members.is_chunk, ("X/zarr.json", ".zgroup", "X/.zattrs")))

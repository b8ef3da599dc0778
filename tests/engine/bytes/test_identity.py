"""Identities of files."""

import pytest

from scdataset.engine.bytes.identity import FileIdentity


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    return tmp_path / "a"


def identity(path):
    return FileIdentity.from_status(path.stat())


def test_a_file_that_nobody_touched_is_unchanged(path):
    first = identity(path)
    assert first.size == 3
    assert first.is_unchanged(identity(path))


def test_another_mode_is_no_change_of_content(path):
    first = identity(path)
    path.chmod(0o600 if first.mode & 0o077 else 0o644)
    later = identity(path)._replace(status_changed=first.status_changed + 1)
    assert first.is_unchanged(later)


@pytest.mark.parametrize("field", ["inode", "size", "modified", "status_changed"])
def test_any_change_of_content_shows(path, field):
    first = identity(path)
    later = first._replace(**{field: getattr(first, field) + 1})
    assert not first.is_unchanged(later)
    assert first.is_same_file(later) is (field != "inode")
    assert first.has_same_content(later) is (field == "status_changed")
    assert first.content != later.content

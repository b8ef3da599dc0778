"""Lines of a journal are read as they were written, but for one that was cut short."""

import pytest

from scdataset.conversion.journal import Journal


def test_entries_are_those_that_were_noted(tmp_path):
    journal = Journal(tmp_path / "journal")
    assert list(journal.entries()) == []
    journal.note("X", 1, {"c/1": [4, 5]})
    journal.note("Y")
    assert list(journal.entries()) == [["X", 1, {"c/1": [4, 5]}], ["Y"]]


@pytest.mark.parametrize("n_lost", range(1, 9))
def test_a_line_that_was_cut_short_spoils_no_other(tmp_path, n_lost):
    journal = Journal(tmp_path / "journal")
    journal.note("first")
    journal.note("cut", 1)
    journal.path.write_bytes(journal.path.read_bytes()[:-n_lost])
    journal.note("last")
    assert list(journal.entries()) == [["first"], ["last"]]

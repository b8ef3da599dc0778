"""Faults that were found, with their places."""

import json

from scdataset.errors import DamagedFileError
from scdataset.insight.findings import Fault, Findings, Report


def test_a_fault_is_noted_once_without_the_path_that_its_place_has():
    counted = []
    found = Findings("a.h5ad", counted.append)
    for message in (DamagedFileError("a.h5ad: chunk 3 is damaged."), "chunk 3 is damaged."):
        found.add("X/data", message)
    found.add("X/indices", "chunk 3 is damaged.")
    found.note("X", "is unusual.")
    assert [fault.place for fault in found.faults] == ["X/data", "X/indices"]
    assert str(found.faults[0]) == "a.h5ad: X/data: chunk 3 is damaged."
    assert found.notes == [Fault("a.h5ad", "X", "is unusual.")]
    found.checked(7)
    found.checked(5)
    assert (found.n_bytes, counted) == (12, [7, 5])


def test_a_report_is_right_without_faults_whatever_its_notes():
    note = Fault("a.h5ad", "X", "is unusual.")
    assert Report(("a.h5ad",), (), (note,), 5).ok
    wrong = Report(("a.h5ad",), (note,), (), 5)
    assert json.loads(json.dumps(wrong.as_dict()))["ok"] is False
    assert str(wrong) == "1 fault in 1 file\na.h5ad: X: is unusual."

"""The soak tests, for as long as a test may take."""

import pytest
from tests.soak import steady
from tests.soak.damage import children, running


@pytest.mark.parametrize(
    ("n_cases", "kinds", "files"),
    [
        (9, "damaged", "gzip,h5mu rna,10x 3,text,hugging"),
        (10, "state", "Block"),
        pytest.param(4, "cached,changing", "text,list of,v3 sharded,dense gzip", marks=pytest.mark.slow),
        pytest.param(200, "", "", marks=pytest.mark.slow),
    ],
)
def test_damage_gives_right_rows_or_an_error_of_this_package(tmp_path, monkeypatch, n_cases, kinds, files):
    monkeypatch.setattr(children, "SECONDS", 300)  # a guard against hangs, however loaded a machine is
    cases = running.Cases(tmp_path, kinds, files)
    outcomes, failures = running.run_all(cases, cases.drawn(n_cases, 12))
    assert not failures
    words = {word for *_, word in outcomes}
    assert "right values" in words
    assert {"DamagedFileError", "StateError"} & words or kinds.startswith("cached")


@pytest.mark.slow
def test_an_endless_loop_keeps_its_descriptors_threads_and_shared_memory(tmp_path):
    samples, n_batches = steady.samples_of(steady.write_files(tmp_path, n_obs=2_000), 12, 1)
    first, last = samples[0], samples[-1]  # in the first epoch, and after the loop has ended
    assert n_batches > 0
    assert last.descriptors <= first.descriptors
    assert last.threads <= first.threads
    assert last.shared_files <= first.shared_files

"""The soak tests, for as long as a test may take."""

import numpy as np
import pytest
from tests.soak import steady
from tests.soak.damage import children, running


@pytest.mark.parametrize(
    ("n_cases", "kinds", "files"),
    [
        (15, "damaged", "gzip,h5mu rna,10x 3,text,hugging"),
        (8, "cached,changing", "text,list of,v3 sharded,dense gzip"),
        (40, "state", "Block"),
        pytest.param(400, "", "", marks=pytest.mark.slow),
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
    paths = steady.write_files(tmp_path, n_obs=2_000)
    samples, n_batches = steady.samples_of(paths, 20, 1)
    _, grew = steady.report(samples, 1)
    assert not set(grew) - {"rss", "pss"}, samples
    assert n_batches > 0
    assert np.isfinite(samples[-1].pss)

"""A local cluster of Ray, and training functions without one."""

import os
import tempfile

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

pytest.importorskip("ray", reason="the extra ray is not installed")

_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
}
"""Nothing that tests could do without: no token in the user's folder, few processes, and none that ends workers when
other programs take the memory of the machine.
"""

_TRIES = 3
"""Ray waits 30 seconds for its own processes, which a machine that is busy needs longer to start."""


@pytest.fixture(scope="session")
def cluster(cache_folder):
    """Start a small cluster of Ray on this machine, once for all tests of this process that ask for it."""
    import ray

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        for name, value in _ENVIRONMENT.items():
            patch.setenv(name, value)
        try:
            _start(ray, folder)
            yield ray
        finally:
            ray.shutdown()


def _start(ray, folder):
    for number in range(1, _TRIES + 1):
        try:
            ray.init(
                address="local",
                num_cpus=2,
                include_dashboard=False,
                object_store_memory=100 * 2**20,
                log_to_driver=False,
                _temp_dir=f"{folder}/{number}",  # the path of a socket is short, and so this is no folder of pytest's
            )
        except Exception:
            ray.shutdown()
            if number == _TRIES:
                raise
        else:
            return


@pytest.fixture
def cores(monkeypatch):
    """Let limits of cores end with the test."""
    monkeypatch.setenv("SCDATASET_CORES", "")
    return lambda: os.environ["SCDATASET_CORES"]


@pytest.fixture
def fit(cores, tmp_path):
    """Return a function that calls another as a training function of Ray Train, in this process."""
    import ray.train
    from ray.train.torch import TorchTrainer

    def fitted(train):
        scaling, run = ray.train.ScalingConfig(num_workers=0), ray.train.RunConfig(storage_path=str(tmp_path))
        return TorchTrainer(train, scaling_config=scaling, run_config=run).fit().return_value

    return fitted


@pytest.fixture(scope="session")
def three_files(tmp_path_factory):
    """Write 120 cells in three files, some without a kind, and one without any counts."""
    folder, rng = tmp_path_factory.mktemp("three"), np.random.default_rng(0)
    paths = [folder / f"{name}.h5ad" for name in "abc"]
    for number, path in enumerate(paths):
        counts = rng.poisson(0.5, (40, 12)).astype("f4")
        counts[number] = 0
        kinds = rng.choice(["a", "b", None], 40).astype(object)
        columns = {"kind": pd.Categorical(kinds), "number": np.arange(40) + 40 * number, "row": np.arange(40)}
        obs = pd.DataFrame(columns, index=[f"cell{i}" for i in range(40)])
        var = pd.DataFrame(index=[f"gene{i}" for i in range(12)])
        obsm = {"X_pca": rng.random((40, 3))}
        anndata.AnnData(sp.csr_matrix(counts), obs, var, obsm=obsm).write_h5ad(path)
    return paths

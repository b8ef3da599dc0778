"""The README's code runs, block after block, as a reader would run it."""

import re
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

README = Path(__file__).parents[1] / "README.md"


def test_every_python_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = scipy.sparse.random(1000, 20, 0.2, format="csr", dtype=np.float32, random_state=0)  # noqa: N806
    columns = {
        "cell_type": ["T", "B"] * 500,
        "gene": ["KLF1", "GATA1", "TP53", "non-targeting"] * 250,
        "batch": np.repeat(["A", "B"], 500),
    }
    obs = pd.DataFrame(columns, index=[f"cell {i}" for i in range(1000)]).astype("category")
    anndata.AnnData(X, obs=obs).write_h5ad("atlas.h5ad")
    namespace = {"model": lambda batch: batch}
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    assert len(namespace["dataset"]) == 16


@pytest.mark.parametrize("name", ["LICENSE", "CHANGELOG.md", "Makefile"])
def test_what_the_readme_names_exists(name):
    assert (README.parent / name).exists()

"""Cells of three types in two batches, some without a label, for data modules."""

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

TYPES = np.array(["T", "B", "NK"])


def labelled_cells(n_obs=321, n_vars=40, unlabeled="Unknown"):
    """Return AnnData whose every third label is unlabelled; ``truth`` has them all."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, n_obs)
    labels = pd.Categorical(TYPES[kinds], ["T", unlabeled, "NK", "B", "none"])
    labels[::3] = unlabeled
    columns = {
        "donor": pd.Categorical(rng.choice(["d2", "d1"], n_obs), ["d2", "d1"]),
        "label": labels,
        "truth": pd.Categorical(TYPES[kinds]),
        "plate": rng.integers(3, 6, n_obs),
        "age": rng.normal(size=n_obs),
    }
    obs = pd.DataFrame(columns, index=[f"cell{number}" for number in range(n_obs)])
    counts = rng.poisson(rng.gamma(1, 2, (3, n_vars))[kinds]).astype("f4")
    return anndata.AnnData(sp.csr_matrix(counts), obs, pd.DataFrame(index=[f"gene{i}" for i in range(n_vars)]))

"""Imported once by the process that children of tests are forked from: in each child it would take seconds."""

import anndata  # noqa: F401 as all here, for the children
import h5py  # noqa: F401
import hypothesis  # noqa: F401
import numpy as np
import pandas as pd  # noqa: F401
import pytest  # noqa: F401
import scipy.sparse  # noqa: F401
import zarr  # noqa: F401
from tests.children import look_often
from tests.compiling import compile_once

from scdataset import BlockShuffling, open_collection, scDataset  # noqa: F401

compile_once()
look_often()
list(scDataset(np.arange(8), BlockShuffling(), 4))  # loads the compiled code

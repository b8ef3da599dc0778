"""Missing packages."""

import pytest

from scdataset._packages import missing, needing
from scdataset.errors import MissingDependencyError


def test_packages_are_named_as_pip_takes_them():
    message = str(missing("Reading x", "zarr", "anndata>=0.12", because="No module named 'zarr'"))
    assert message.startswith("Reading x needs zarr and anndata>=0.12 (No module named 'zarr'); ")
    assert message.endswith("; run: pip install zarr 'anndata>=0.12'")


def test_a_package_that_is_there_and_broken_says_why():
    reason = "libhdf5.so: no such file"
    with pytest.raises(MissingDependencyError, match=rf"needs h5py \({reason}\); run"), needing("x", "h5py"):
        raise ImportError(reason)

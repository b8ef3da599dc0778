"""Missing packages."""

from scdataset._packages import missing


def test_packages_are_named_as_pip_takes_them():
    message = str(missing("Reading x", "zarr", "anndata>=0.12", because="No module named 'zarr'"))
    assert message.startswith("Reading x needs zarr and anndata>=0.12 (No module named 'zarr'); ")
    assert message.endswith("; run: pip install zarr 'anndata>=0.12'")

"""The packages of Lightning that are installed."""

import sys

import pytest

from scdataset.errors import MissingDependencyError
from scdataset.integrations.lightning_hosts import base_of


def test_without_lightning_the_error_says_how_to_install_it(monkeypatch):
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match="pip install lightning"):
        base_of("LightningDataModule")

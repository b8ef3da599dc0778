"""Helpers whose results may change between releases."""

from scdataset.experimental.auto_config import estimate_sample_size, suggest_parameters

__all__ = ["estimate_sample_size", "suggest_parameters"]

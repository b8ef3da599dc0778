"""Assertions for users' own strategies, collections and loops, and for this package."""

from scdataset.testing.resuming import assert_elastic, assert_resumes_everywhere
from scdataset.testing.sharing import assert_covers, assert_equal_ranks

__all__ = ["assert_covers", "assert_elastic", "assert_equal_ranks", "assert_resumes_everywhere"]

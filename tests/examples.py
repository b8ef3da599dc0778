"""How many examples a property is tried on: a quarter in ``make test``, all in ``make test-slow``."""

import os


def examples(number):
    """Return how many of ``number`` examples to try in this run."""
    return number if os.environ.get("SCDATASET_TESTS") == "all" else max(number // 4, 8)

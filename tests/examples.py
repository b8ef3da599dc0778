"""How much is tried: ``make test`` takes a part, always the same; ``make test-slow`` takes all, and new examples."""

import os

import pytest

EVERYTHING = os.environ.get("SCDATASET_TESTS") == "all"
"""Whether this is a run of ``make test-slow``."""


def examples(number, at_least=8):
    """Return how many of ``number`` examples of a property to try in this run."""
    return number if EVERYTHING else max(number // 8, at_least)


def rare(*values):
    """Return parameters that ``make test-slow`` alone takes: others stand for them, or each needs code compiled."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def often(combinations, is_common):
    """Return combinations of parameters, of which ``make test`` takes the common ones."""
    return [pytest.param(*each, marks=() if is_common(*each) else pytest.mark.slow) for each in combinations]

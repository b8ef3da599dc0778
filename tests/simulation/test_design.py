"""Donors, types and genes of the simulated atlas."""

from scipy import stats

from scdataset.simulation.design import AtlasShape, design_atlas


def test_types_are_unequal_and_donors_differ() -> None:
    sizes = design_atlas(AtlasShape(100_000, 100, 20, 8, 12, 0)).sizes
    types = sizes.sum(axis=0) / sizes.sum()
    assert types.max() > 0.2
    assert types.min() < 0.015
    assert stats.chi2_contingency(sizes).pvalue < 1e-6

"""Whether values look like counts."""

from scdataset.pp import looks_like_counts


def test_counts_are_told_from_other_values(counts, logged, opened):
    assert looks_like_counts(opened(counts))
    assert looks_like_counts(counts)
    assert not looks_like_counts(opened(logged))
    assert not looks_like_counts(logged)

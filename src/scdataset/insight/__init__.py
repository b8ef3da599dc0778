"""Look before and while you train: predictions, statistics, descriptions and checks of files, measurements of disks."""

from scdataset.insight.diversity import Diversity, diversity
from scdataset.insight.explain import Explanation

__all__ = ["Diversity", "Explanation", "diversity"]

"""Look before and while you train: predictions, statistics, descriptions and checks of files, measurements of disks."""

from scdataset.insight.diversity import Diversity, diversity
from scdataset.insight.explain import Explanation
from scdataset.insight.tune import Tuned, tune

__all__ = ["Diversity", "Explanation", "Tuned", "diversity", "tune"]

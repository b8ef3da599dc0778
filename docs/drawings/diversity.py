"""The picture of diversity against block size, by the function that the guide shows.

python docs/drawings/diversity.py
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np

from scdataset.insight import diversity

PICTURE = Path(__file__).parents[1] / "guides" / "diversity.svg"

if __name__ == "__main__":
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "scdataset", "figure.figsize": (6.4, 3.6), "font.size": 13})
    plates = np.repeat(np.arange(14), 20_000)
    found = diversity(plates, block_size=64, fetch_factor=256, batch_size=64)
    found.plot(PICTURE)
    print(found)

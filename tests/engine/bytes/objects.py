"""The object that the server has."""

import numpy as np

CONTENT = np.random.default_rng(0).integers(0, 256, 5_000_000, np.uint8).tobytes()

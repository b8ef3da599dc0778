"""Arguments of all kinds, for which a function either works or raises an error of this package."""

import inspect

import numpy as np
import pandas as pd

from scdataset.errors import ScDatasetError

ODD = {
    "None": lambda: None,
    "text": lambda: "a",
    "bytes": lambda: b"a",
    "negative": lambda: -1,
    "fraction": lambda: 1.5,
    "nan": lambda: float("nan"),
    "infinite": lambda: float("inf"),
    "complex": lambda: 1j,
    "huge": lambda: 2**70,
    "beyond floats": lambda: 10**400,
    "object": object,
    "True": lambda: True,
    "numpy's True": lambda: np.bool_(True),
    "empty list": list,
    "empty dict": dict,
    "number in a list": lambda: [1],
    "text in a list": lambda: ["a"],
    "text and None": lambda: ("a", None),
    "set": lambda: {1, "a"},
    "lists of different lengths": lambda: [[1], [1, 2]],
    "generator": lambda: (number for number in (1, 2)),
    "array without axes": lambda: np.array(3),
    "array": lambda: np.array([1.0, 2.0]),
    "matrix": lambda: np.eye(2),
    "Series": lambda: pd.Series(["a", "b"]),
}


def raw_errors(function, sound):
    """Return the errors of others that odd arguments end in, in place of each of the sound ones, by name."""
    found = {}
    for name in inspect.signature(function).parameters:
        for kind, make in ODD.items():
            try:
                repr(function(**{**sound, name: make()}))
            except ScDatasetError:
                continue
            except Exception as error:  # noqa: BLE001 any other is what is looked for
                found[f"{name}={kind}"] = repr(error)
    return found

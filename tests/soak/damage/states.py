"""Saved states with changed fields: the same order, or an error."""

import json

import numpy as np
from tests.soak.damage.harms import BYTES, harmed

from scdataset import BlockShuffling, BlockWeightedSampling, ClassBalancedSampling, Streaming, scDataset
from scdataset.errors import ScDatasetError

_N_ROWS = 97
_STRATEGIES = {
    "BlockShuffling": lambda: BlockShuffling(3),
    "Streaming": Streaming,
    "BlockWeightedSampling": lambda: BlockWeightedSampling(3, weights=np.arange(1.0, _N_ROWS + 1)),
    "ClassBalancedSampling": lambda: ClassBalancedSampling(np.arange(_N_ROWS) % 3),
}
_OTHERS = (None, True, False, 0, 1, -1, 2, 1.5, float("nan"), 2**70, "1", "", [], [[1, 1, 1]], {}, {"epoch": 0})


class States:
    """A state of one strategy that is changed before it is loaded."""

    name = "state"
    right_only = True
    files = tuple(_STRATEGIES)
    harms = ("value", "number", "removed", "added", "shortened", "renamed", *BYTES)

    def __init__(self, files):
        self._states = {}

    def prepare(self, name):
        """Take a state in the midst of an epoch, and the batches that are left."""
        dataset = _dataset(name)
        dataset.set_epoch(2)
        batches = iter(dataset)
        for _ in range(5):
            next(batches)
        state = dataset.state_dict()
        self._states[name] = state, [batch.tolist() for batch in batches]

    def run(self, case):
        """Try one case; return what came of it."""
        state, left = self._states[case.file]
        return _load(case.file, _changed(state, case), left)


def _dataset(name):
    return scDataset(np.arange(_N_ROWS), _STRATEGIES[name](), 4, 3, seed=7)


def _load(name, state, left):
    dataset = _dataset(name)
    try:
        dataset.load_state_dict(state)
    except ScDatasetError as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001 it is reported
        return f"raised {type(error).__name__}: {error}"
    return "right values" if [batch.tolist() for batch in dataset] == left else f"other values: of {state}"


def _changed(state, case):
    """Return a state with one change, in a field or in its text."""
    rng = np.random.default_rng(case.seed)
    if case.harm in BYTES:
        return _changed_text(json.dumps(state).encode(), case.harm, rng)
    changed, name = json.loads(json.dumps(state)), str(rng.choice(list(state)))
    value = changed[name]
    if case.harm == "removed":
        del changed[name]
    elif case.harm == "renamed":
        changed[f"{name}s"] = changed.pop(name)
    elif case.harm == "added":
        changed[str(rng.choice(["worker", "x", ""]))] = _OTHERS[rng.integers(len(_OTHERS))]
    elif case.harm == "value":
        changed[name] = _OTHERS[rng.integers(len(_OTHERS))]
    elif case.harm == "number":
        changed[name] = _another(value, rng)
    else:
        changed[name] = value[:-1] if isinstance(value, (str, list)) else value // 2
    return changed


def _another(value, rng):
    """Return a value of the same type; of a list, with one of its numbers changed."""
    if isinstance(value, list):
        part = int(rng.integers(len(value))) if value else 0
        return [_another(one, rng) if number == part else one for number, one in enumerate(value)] or [[1, 1, 1]]
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + int(rng.choice([-1, 1, 10]))


def _changed_text(text, harm, rng):
    """Return a state whose text was damaged and is still JSON, or, after a thousand tries, nothing of it."""
    for _ in range(1000):
        try:
            return json.loads(harmed(text, harm, int(rng.integers(2**40))))
        except ValueError:
            continue
    return None

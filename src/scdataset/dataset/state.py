"""The saved state: a small dict that JSON takes, with the values that must match where it is loaded.

    {"version": 2, "epoch": 3, "chain": [[8, 4, 200], [6, 4, 31]], "seed": 7, "n_samples": 100000000, ...,
     "checksum": "5c9f1a0be3d2"}

It has the progress of the epoch and nothing of a rank or worker, so it is the same on every rank. A link of the chain
has the number of ranks, of workers, and of batches taken from each rank. The checksum is of all other fields: one that
was changed would be another order, or other batches, without an error.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeVar, cast

from scdataset._types import Json
from scdataset.errors import ArgumentTypeError, ArgumentValueError, StateError
from scdataset.schedule.progress import Generation, Progress
from scdataset.strategy.keys import MAX_SEED

__all__ = ["IGNORABLE", "VERSION", "Identity", "SavedState", "shortened"]

T = TypeVar("T")

VERSION = 2
"""Version of the form of states that are saved."""

_WITHOUT_CHECKSUM = 1
"""Version of states that have no checksum; they are read as well."""

IGNORABLE = ("collection", "strategy")
"""Fields that may differ where the user says so: the rows are counted all the same."""

_LARGEST_WORLD = 2**31
_LONGEST_SHOWN = 300
"""Characters of a state that an error shows."""

_FINGERPRINT = 97
"""Characters of a fingerprint in a state, so that a state of any collection takes less than 450 bytes."""

_DIGEST = 8
"""Bytes of the digest of a fingerprint that is cut."""

_CUT = re.compile(rf"(?P<start>.{{300}})\.\.\.(?P<digest>[0-9a-f]{{{2 * _DIGEST}}})", re.DOTALL)
"""A fingerprint as it was cut before, at 300 characters."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Values that a dataset must share with the one that a state was taken of."""

    n_samples: int
    batch_size: int
    fetch_factor: int
    drop_last: bool
    uneven_ranks: bool
    strategy: str
    collection: str


@dataclass(frozen=True, slots=True)
class SavedState:
    """The content of a state.

    Attributes
    ----------
    progress
        The epoch, and how much of it was consumed.
    seed
        Seed of the order.
    identity
        The dataset it was taken of.
    worker
        For the state of one DataLoader worker: its part of the steps, the number of parts, the number of ranks, and how
        many batches were given of the part. ``progress`` is then that at which the iteration began. None for the state
        of a whole rank.
    """

    progress: Progress
    seed: int
    identity: Identity
    worker: tuple[int, int, int, int] | None = None

    def to_dict(self) -> Json:
        """Return the state as JSON takes it."""
        chain = [[link.world_size, link.n_workers, link.taken] for link in self.progress.chain]
        state = {"version": VERSION, "epoch": self.progress.epoch, "chain": chain, "seed": self.seed}
        worker = {} if self.worker is None else {"worker": list(self.worker)}
        whole = {**state, **asdict(self.identity), **worker}
        return {**whole, "checksum": _checksum(whole)}

    @classmethod
    def from_dict(cls, state: object) -> "SavedState":
        """Read a state.

        Raises
        ------
        ArgumentTypeError
            If it is not a dict.
        StateError
            If it is of another version, not whole, or was changed since it was saved.
        """
        if not isinstance(state, Mapping):
            message = (
                f"The state is of type {type(state).__name__}; give the dict that state_dict() returned, "
                "read with json.load if it was written as JSON."
            )
            raise ArgumentTypeError(message)
        if "version" not in state:
            raise StateError(_no_state(state))
        version = state["version"]
        if type(version) is not int or not _WITHOUT_CHECKSUM <= version <= VERSION:
            message = (
                f"The state has version {version!r} and this scdataset reads versions 1 to {VERSION}; load it "
                "with the version of scdataset that saved it, or begin the epoch anew with set_epoch."
            )
            raise StateError(message)
        try:
            return cls._parsed(state)
        except (KeyError, TypeError, ValueError) as error:
            message = (
                f"The state is damaged or incomplete ({type(error).__name__}: {error}): {_shown(state)}. "
                "Load an earlier one, or begin the epoch anew with set_epoch."
            )
            raise StateError(message) from error

    @classmethod
    def _parsed(cls, state: Mapping[str, object]) -> "SavedState":
        _check_keys(state)
        chain = tuple(
            Generation(_counted(size, 1, _LARGEST_WORLD), _counted(n_workers, 1, _LARGEST_WORLD), _counted(taken, 1))
            for size, n_workers, taken in map(_listed, _listed(state["chain"]))
        )
        identity = Identity(
            n_samples=_counted(state["n_samples"], 0),
            batch_size=_counted(state["batch_size"], 1),
            fetch_factor=_counted(state["fetch_factor"], 1),
            drop_last=_typed(state["drop_last"], bool),
            uneven_ranks=_typed(state["uneven_ranks"], bool),
            strategy=shortened(_typed(state["strategy"], str)),
            collection=shortened(_typed(state["collection"], str)),
        )
        worker = None
        if "worker" in state:
            part, parts, ranks, given = _listed(state["worker"])
            parts = _counted(parts, 1)
            worker = _counted(part, 0, parts - 1), parts, _counted(ranks, 1, _LARGEST_WORLD), _counted(given, 0)
        progress, seed = Progress(_counted(state["epoch"], 0), chain), _counted(state["seed"], 0)
        _check_sum(state)
        return cls(progress, seed, identity, worker)

    def check(self, here: Identity, seed: int | None, ignore: Collection[str]) -> None:
        """Raise unless the state was taken of the dataset ``here``, naming the difference and both values.

        Parameters
        ----------
        here
            The dataset that loads the state.
        seed
            Its seed, or None where it takes the state's.
        ignore
            Names in `IGNORABLE` that may differ.
        """
        unknown = sorted(set(ignore) - set(IGNORABLE))
        if isinstance(ignore, str) or unknown:
            message = f"ignore={ignore!r}; give a list of names among {list(IGNORABLE)}: no other may differ."
            raise ArgumentValueError(message)
        pairs = [(name, value, getattr(here, name)) for name, value in asdict(self.identity).items()]
        pairs.append(("seed", self.seed, self.seed if seed is None else seed))
        differing = [pair for pair in pairs if pair[1] != pair[2] and pair[0] not in ignore]
        if differing:
            listed = "; ".join(f"{name} was {old!r} and is {new!r}" for name, old, new in differing)
            names = [name for name, *_ in differing]
            remedy = "Make the dataset as it was, or begin the epoch anew with set_epoch."
            if set(names) <= set(IGNORABLE):
                remedy = f"If the rows are the same all the same, load_state_dict(state, ignore={names!r}) goes on."
            message = f"The state was taken of another dataset: {listed}. {remedy}"
            raise StateError(message)


def shortened(fingerprint: str) -> str:
    """Return a fingerprint as it is saved: a long one cut, with a digest of the whole; the same of one cut already."""
    return _cut(fingerprint, _FINGERPRINT)


def _cut(text: str, most: int) -> str:
    """Return a text, shortened to ``most`` characters if it is longer: its start, and a digest of the whole."""
    if len(text) <= most:
        return text
    cut_before = _CUT.fullmatch(text)
    digest = cut_before["digest"] if cut_before else hashlib.blake2b(text.encode(), digest_size=_DIGEST).hexdigest()
    return f"{text[: most - len(digest) - 3]}...{digest}"


def _counted(value: object, minimum: int, maximum: int = MAX_SEED) -> int:
    number = _typed(value, int)
    if isinstance(value, bool) or not minimum <= number <= maximum:
        message = f"{value!r} is not a whole number from {minimum} to {maximum}"
        raise ValueError(message)
    return number


def _typed(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        message = f"{value!r} is not of type {kind.__name__}"
        raise TypeError(message)
    return value


def _listed(value: object) -> Sequence[object]:
    """Return a list, or a tuple, which JSON makes a list of."""
    return value if isinstance(value, tuple) else _typed(value, list)


def _check_keys(state: Mapping[str, object]) -> None:
    """Raise unless a state has the fields of its version and no others."""
    known = {"version", "epoch", "chain", "seed", *(one.name for one in fields(Identity))}
    if cast("int", state["version"]) > _WITHOUT_CHECKSUM:
        known.add("checksum")
    for name in sorted(known):
        if name not in state:
            raise KeyError(name)
    others = [name for name in state if name not in known | {"worker"}]
    if others:
        message = f"version {state['version']} has no fields {others}"
        raise ValueError(message)


def _check_sum(state: Mapping[str, object]) -> None:
    """Raise unless the fields have the checksum with which they were saved."""
    if state["version"] == _WITHOUT_CHECKSUM:
        return
    saved, found = state["checksum"], _checksum({name: state[name] for name in state if name != "checksum"})
    if saved != found:
        message = f"its checksum is {saved!r} and its fields give {found!r}, so one was changed since it was saved"
        raise ValueError(message)


def _checksum(state: Mapping[str, object]) -> str:
    """Return a checksum of fields, whatever their order and whether lists are tuples."""
    return hashlib.blake2b(json.dumps(state, sort_keys=True).encode(), digest_size=6).hexdigest()


def _no_state(state: Mapping[str, object]) -> str:
    """Return the message for a dict without a version: its keys, and where in it the state may be."""
    dicts = [(name, value) for name, value in state.items() if isinstance(value, Mapping)]
    inside = [name for name, value in dicts if {"version", "chain"} <= set(value)]
    place = f", which is here under {inside[0]!r}" if inside else ""
    return (
        f"The dict is not the state of a dataset: it has the keys {list(state)[:10]} and no version. Give what "
        f"dataset.state_dict() returned{place}."
    )


def _shown(state: Mapping[str, object]) -> str:
    return _cut(json.dumps(dict(state), default=repr), _LONGEST_SHOWN)

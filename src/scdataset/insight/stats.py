"""Where the time of a loop goes, and the remedy."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from scdataset._tables import counted, size
from scdataset.dataset.hooks import HOOK_ARGUMENTS, Hooks
from scdataset.dataset.monitor import AHEAD, COMPILE, LOOP, MODEL, WAIT, WAIT_FOR_BATCHES, WINDOW, Totals
from scdataset.engine.observer import ANSWER, BODY, DECODE, READ, SCATTER, WHOLE
from scdataset.transforms.base import Transform
from scdataset.transforms.compose import Compose

__all__ = ["LoaderStats"]

_RATES = ("rows_per_second", "latency", "bandwidth")
"""Figures that follow from others."""

_NOTABLE = 0.1
"""Part of the time from which on the second in line is named, too."""


@dataclass(frozen=True)
class LoaderStats:
    """Where the time of a dataset's iterations went, from when counting began.

    Seconds of processes that iterate at the same time are summed, but for ``seconds``.

    Attributes
    ----------
    rows, batches, windows
        Given to the loop, and windows that were read for it, those read ahead included.
    seconds
        By the clock, from when a batch is asked for until the model is done with it: those of workers that iterate
        together count once. Time between two iterations is no part of it.
    rows_per_second
        ``rows / seconds``, 0 if there are none.
    waiting_for_model
        Seconds between giving a batch and being asked for the next: those of the model, or in a worker of its full
        queue.
    waiting_for_windows
        Seconds in which the loop waited for a window to be read.
    waiting_for_compiler, waiting_for_disk, waiting_for_decoding, waiting_for_collection
        How these divide: first come the seconds in which functions were compiled, once for a machine; the others go by
        the time that reading bytes, decoding chunks and copying decoded values take in the threads that read. All of it
        is of the collection where the package does not read the files itself.
    hooks
        Seconds of the loop in each hook, by its name. Of a ``fetch_transform`` that runs ahead, the seconds in which
        the loop waited for it.
    cutting
        Seconds of the loop in all else: working out rows, and cutting batches from windows.
    bytes_read, requests, fetches, bytes_fetched, chunks_decoded
        As in `ReadCounts`; 0 where the package does not read the files itself.
    seconds_reading, seconds_decoding, seconds_scattering
        In the threads that read, summed over threads, as in `ReadCounts`.
    seconds_to_answer, seconds_of_bodies
        Of the requests to an object store, summed over them: until answers begin, and from then on.
    seconds_read_wall
        Seconds by the clock in which windows were read, whether or not the loop waited for it.
    bytes_in_flight
        Bytes of the windows in use and read ahead at this moment, by the bytes of a mean row; 0 if not known.
    processes
        Processes that the figures are sums of: 1 for a bare loop, or the number of workers that iterated.
    hook_names
        The functions of the hooks, for people.
    hook_places
        Of hooks that are transforms of this package: ``"background"`` if it is called there, ``"loop"`` if it could be
        and is not, and ``"loop only"``.
    """

    rows: int = 0
    batches: int = 0
    windows: int = 0
    seconds: float = 0.0
    waiting_for_model: float = 0.0
    waiting_for_windows: float = 0.0
    waiting_for_compiler: float = 0.0
    waiting_for_disk: float = 0.0
    waiting_for_decoding: float = 0.0
    waiting_for_collection: float = 0.0
    hooks: Mapping[str, float] = field(default_factory=dict)
    cutting: float = 0.0
    bytes_read: int = 0
    requests: int = 0
    fetches: int = 0
    bytes_fetched: int = 0
    chunks_decoded: int = 0
    seconds_reading: float = 0.0
    seconds_decoding: float = 0.0
    seconds_scattering: float = 0.0
    seconds_to_answer: float = 0.0
    seconds_of_bodies: float = 0.0
    seconds_read_wall: float = 0.0
    bytes_in_flight: int = 0
    processes: int = 0
    hook_names: Mapping[str, str] = field(default_factory=dict)
    hook_places: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_totals(cls, totals: Totals, hooks: Hooks) -> "LoaderStats":
        """Return the figures of some totals, of a dataset with these hooks."""
        counts, whole = {name: int(value) for name, value in totals.counts.items()}, totals.whole
        waits = _divided_wait(totals)
        for_ahead, for_batches, wait = waits.pop(AHEAD), whole.get(WAIT_FOR_BATCHES, 0.0), whole.get(WAIT, 0.0)
        in_hooks = {name: whole[name] for name in HOOK_ARGUMENTS if name in whole}
        is_ahead = AHEAD in whole or WAIT_FOR_BATCHES in whole
        if is_ahead:
            in_hooks["fetch_transform"] = for_ahead + for_batches
        in_loop = sum(in_hooks.values()) - for_ahead + wait
        row_bytes = counts.get("result_bytes", 0) / max(counts.get("window_rows", 0), 1)
        return cls(
            rows=counts.get("batch_rows", 0),
            batches=counts.get("batches", 0),
            windows=counts.get("windows", 0),
            seconds=totals.elapsed,
            waiting_for_model=totals.seconds.get(MODEL, 0.0),
            waiting_for_windows=wait,
            **waits,
            hooks=in_hooks,
            cutting=max(whole.get(LOOP, 0.0) - in_loop, 0.0),
            bytes_read=counts.get("bytes", 0),
            requests=counts.get("requests", 0),
            fetches=counts.get("fetches", 0),
            bytes_fetched=counts.get("fetched_bytes", 0),
            chunks_decoded=counts.get("chunks", 0),
            seconds_reading=totals.seconds.get(READ, 0.0),
            seconds_decoding=totals.seconds.get(DECODE, 0.0),
            seconds_scattering=totals.seconds.get(SCATTER, 0.0),
            seconds_to_answer=totals.seconds.get(ANSWER, 0.0),
            seconds_of_bodies=totals.seconds.get(BODY, 0.0),
            seconds_read_wall=whole.get(WHOLE, whole.get(WINDOW, 0.0)),
            bytes_in_flight=round(totals.levels.get("rows_in_flight", 0) * row_bytes),
            processes=totals.processes,
            hook_names={name: _called(getattr(hooks, name)) for name in in_hooks},
            hook_places=_places({name: getattr(hooks, name) for name in in_hooks}, is_ahead=is_ahead),
        )

    def since(self, earlier: "LoaderStats") -> "LoaderStats":
        """Return the figures of the time since an earlier call of `scDataset.stats`."""
        numbers = {name: max(getattr(self, name) - getattr(earlier, name), 0) for name in self._added_up()}
        hooks = {name: seconds - earlier.hooks.get(name, 0.0) for name, seconds in self.hooks.items()}
        return replace(self, **numbers, hooks=hooks)

    @staticmethod
    def _added_up() -> list[str]:
        """Return the names of numbers that only grow."""
        others = {*_OF_HOOKS, "bytes_in_flight", "processes"}
        return [one.name for one in fields(LoaderStats) if one.name not in others]

    @property
    def rows_per_second(self) -> float:
        """Rows given a second of the clock."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def latency(self) -> float:
        """Mean seconds until the answer to a request to an object store begins, 0 if there are none."""
        return self.seconds_to_answer / self.fetches if self.fetches else 0.0

    @property
    def bandwidth(self) -> float:
        """Bytes a second that a connection to an object store gave once an answer had begun, 0 if there are none."""
        return self.bytes_fetched / self.seconds_of_bodies if self.seconds_of_bodies else 0.0

    @property
    def _seconds(self) -> dict[str, float]:
        """Seconds of the loop by cause, in the order of a step."""
        return {
            "model": self.waiting_for_model,
            "compiler": self.waiting_for_compiler,
            "disk": self.waiting_for_disk,
            "decoding": self.waiting_for_decoding,
            "collection": self.waiting_for_collection,
            **self.hooks,
            "cutting": self.cutting,
        }

    @property
    def shares(self) -> dict[str, float]:
        """The part of the loop's time that each took, largest first: ``model``, ``disk``, a hook's name, ..."""
        total = sum(self._seconds.values())
        ranked = sorted(self._seconds.items(), key=lambda part: -part[1])
        return {name: seconds / total for name, seconds in ranked if seconds > 0}

    @property
    def bottleneck(self) -> str | None:
        """The first of `shares`; None as long as nothing was counted."""
        return next(iter(self.shares), None) if self.batches else None

    @property
    def verdict(self) -> str:
        """The limit of the loop, and the remedy, in a sentence or two."""
        if self.bottleneck is None:
            return "Counting has begun; iterate, and call stats() again."
        (first, share), *others = self.shares.items()
        named = f" ({self.hook_names[first]})" if first in self.hook_names else ""
        second = [f"; next is {self._titled(name)}, {part:.0%}" for name, part in others[:1] if part >= _NOTABLE]
        title, advice = self._titled(first), self._advice(first)
        return f"{title[0].upper()}{title[1:]}{named} takes {share:.0%} of the time{''.join(second)}. {advice}"

    @property
    def headline(self) -> str:
        """Rate and bottleneck in a few words, for a bar."""
        rate = f"{self.rows_per_second:,.0f} rows/s"
        first = self.bottleneck
        return rate if first is None else f"{rate}, {self._titled(first)} {self.shares[first]:.0%}"

    def _advice(self, name: str) -> str:
        place = self.hook_places.get(name)
        return _ADVICE[name] if place is None else _ADVICE_ON_TRANSFORMS[name, place]

    def _titled(self, name: str) -> str:
        if name == "disk" and self.fetches:
            return "the object store"
        return _TITLES.get(name, f"your {name}")

    def as_dict(self) -> dict[str, float]:
        """Return all numbers by name, such as for ``SummaryWriter.add_scalars``.

        Hooks are under their names, ``hook_batch_transform`` for one, in seconds.
        """
        plain = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _OF_HOOKS}
        hooks = {f"hook_{name}": seconds for name, seconds in self.hooks.items()}
        return {**plain, **{name: getattr(self, name) for name in _RATES}, **hooks}

    @property
    def _lines(self) -> list[tuple[str, str, str]]:
        """Name, figure and remark of each line."""
        shares = self.shares
        listed = [
            (self._titled(name), f"{seconds:.2f} s", f"{shares.get(name, 0.0):.0%}{self._remark(name)}")
            for name, seconds in self._seconds.items()
            if seconds or name == "model"
        ]
        busy = f"over all threads {self.seconds_reading:.2f} s of reads, {self.seconds_decoding:.2f} s decoding, "
        asked = f"{counted(self.fetches, 'request')} to an object store"
        answers = f"{self.latency * 1e3:,.0f} ms to an answer, then {size(self.bandwidth)}/s each"
        fetched = ("fetched", size(self.bytes_fetched), f"{asked}, {answers}")
        read = [
            (
                "read",
                size(self.bytes_read),
                f"{counted(self.requests, 'request')}, {counted(self.chunks_decoded, 'chunk')} decoded",
            ),
            *([fetched] if self.fetches else []),
            ("reading windows", f"{self.seconds_read_wall:.2f} s", f"{busy}{self.seconds_scattering:.2f} s scattering"),
            ("in flight", size(self.bytes_in_flight), "windows in use and read ahead"),
        ]
        return [*listed, *(read if self.bytes_read else [])]

    def _remark(self, name: str) -> str:
        called = self.hook_names.get(name)
        return _REMARKS.get(name, "") if called is None else f", {called}"

    @property
    def _summary(self) -> str:
        of = f" by {counted(self.processes, 'worker')}" if self.processes > 1 else ""
        return (
            f"{counted(self.rows, 'row')} in {counted(self.batches, 'batch')}{of}, {self.seconds:.2f} s: "
            f"{counted(self.rows_per_second, 'row')} a second"
        )

    def __str__(self) -> str:
        if not self.batches:
            return self.verdict
        lines = self._lines
        width = max(len(name) for name, *_ in lines)
        shown = [f"  {name:<{width}}  {figure:>10}  {remark}" for name, figure, remark in lines]
        return "\n".join([self._summary, *shown, self.verdict])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        if not self.batches:
            return f"<p>{html.escape(self.verdict)}</p>"
        cells = [[html.escape(text) for text in line] for line in self._lines]
        rows = "".join(f"<tr><th>{a}</th><td>{b}</td><td style='text-align:left'>{c}</td></tr>" for a, b, c in cells)
        headline, verdict = html.escape(self._summary), html.escape(self.verdict)
        return f"<p>{headline}</p><table>{rows}</table><p><b>{verdict}</b></p>"


def _divided_wait(totals: Totals) -> dict[str, float]:
    """Divide the seconds in which the loop waited for windows, by the work of reading them."""
    busy = totals.seconds
    for_compiler = busy.get(COMPILE, 0.0)
    wait = totals.whole.get(WAIT, 0.0) - for_compiler
    ahead, window = totals.whole.get(AHEAD, 0.0), totals.whole.get(WINDOW, 0.0)
    for_ahead = wait * ahead / (ahead + window) if ahead else 0.0
    reading, decoding = busy.get(READ, 0.0), busy.get(DECODE, 0.0) + busy.get(SCATTER, 0.0)
    rest, known = wait - for_ahead, reading + decoding
    return {
        AHEAD: for_ahead,
        "waiting_for_compiler": for_compiler,
        "waiting_for_disk": rest * reading / known if known else 0.0,
        "waiting_for_decoding": rest * decoding / known if known else 0.0,
        "waiting_for_collection": 0.0 if known else rest,
    }


def _places(hooks: Mapping[str, object], *, is_ahead: bool) -> dict[str, str]:
    """Return where transforms of this package are called; hooks of the user's own are left out."""
    places: dict[str, str] = {}
    for name in ("fetch_transform", "batch_transform"):
        transform = hooks.get(name)
        if is_ahead and name == "fetch_transform":
            places[name] = "background"
        elif _is_of_package(transform):
            places[name] = "loop" if getattr(transform, "runs_ahead", False) else "loop only"
    return places


def _is_of_package(transform: object) -> bool:
    if isinstance(transform, Compose):
        return all(map(_is_of_package, transform.transforms))
    return isinstance(transform, Transform)


def _called(function: object) -> str:
    """Return a name for a function or transform."""
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    return name


_TITLES = {
    "model": "the model",
    "compiler": "compiling",
    "disk": "the disk",
    "decoding": "decoding",
    "collection": "the collection",
    "cutting": "cutting batches",
}

_REMARKS = {
    "model": ", the loop waits to be asked",
    "compiler": ", once for this machine and version",
    "disk": ", the loop waits for bytes",
    "decoding": ", the loop waits for chunks to be decoded and copied",
    "collection": ", the loop waits for its rows",
}

_OF_HOOKS = ("hooks", "hook_names", "hook_places")
"""Names of fields that are no numbers."""

_LESS = "Choose fewer genes, open_collection(genes=...), or divide the work among workers of a DataLoader."

_ADVICE_ON_TRANSFORMS = {
    ("fetch_transform", "background"): f"It runs while you train already, and takes longer than that. {_LESS}",
    ("fetch_transform", "loop"): (
        "It runs while you train where windows are read ahead: with prefetch=1, of files that open_collection takes."
    ),
    ("fetch_transform", "loop only"): _LESS,
    ("batch_transform", "loop"): "Give it as fetch_transform in place of batch_transform, and it runs while you train.",
    ("batch_transform", "loop only"): _LESS,
}
"""By hook, and where a transform is called."""

_ADVICE = {
    "model": "The loop keeps up with it: a faster loader would gain nothing.",
    "compiler": "That is done once for a machine: look at a later part, stats.since(earlier), or run it again.",
    "disk": (
        "Read more at a time: a larger block_size, and a larger fetch_factor with it to mix as well; prefetch=2 reads "
        "further ahead. Or keep the file on a faster disk."
    ),
    "decoding": (
        "Use more of each chunk: a larger block_size, and a larger fetch_factor with it to mix as well; more threads, "
        "open_collection(num_threads=...); or scdataset.convert, which writes smaller chunks with a faster codec."
    ),
    "collection": (
        "Its rows are read by code of its own: if they are in files that open_collection takes, open them with it; "
        "else a larger fetch_factor, or workers of a DataLoader."
    ),
    "cutting": "Take larger batches: each costs the same few microseconds.",
    "fetch_callback": (
        "It reads in place of the collection, in the loop: leave it out where open_collection takes the files, or use "
        "workers of a DataLoader."
    ),
    "fetch_transform": "Do less for each row, or use a transform of scdataset.transforms, which runs while you train.",
    "batch_callback": "Do less in it for each batch, or leave it out, and batches are cut from windows.",
    "batch_transform": (
        "Do its work on the whole array rather than row by row, on the device, or with a transform of "
        "scdataset.transforms; or use workers of a DataLoader."
    ),
}

"""A store in a bucket: made on this machine, and put there when it is complete, root metadata last.

local store ──► objects, each noted with its version when the bucket has it ──► zarr.json of the root

Until the last object is there, no reader takes the rest for a store.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scdataset.conversion.journal import Journal
from scdataset.conversion.progress import Bar
from scdataset.conversion.workspace import Workspace, writing_to
from scdataset.engine.bytes.object_store import Bucket, Location, ObjectVersion, is_url, using_options
from scdataset.engine.cache_paths import cache_folder
from scdataset.errors import ArgumentValueError, ExistingFileError

__all__ = ["Destination"]

_CONNECTIONS = 8
"""Objects that are put at once: each is in memory meanwhile, a shard at most."""

_ROOT = "zarr.json"

_NAMES_OF_STORE = ("endpoint", "account_name")
"""Parts of the names of storage options that tell stores of one URL apart; no secrets."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The place of a store in a bucket, and the folder of this machine in which it is made.

    Attributes
    ----------
    bucket, prefix
        The bucket, and the keys of the store without the slash.
    folder
        The folder, in the cache folder of the user.
    """

    bucket: Bucket
    prefix: str
    folder: Path

    @classmethod
    def from_url(cls, out: object, options: Mapping[str, object] | None) -> "Destination | None":
        """Return the destination of a URL; None of anything else.

        Raises
        ------
        ArgumentValueError
            If no store can be written there.
        """
        if not isinstance(out, str) or not is_url(out):
            return None
        location = Location.from_url(out)
        prefix = location.key.strip("/")
        if not prefix.endswith(".zarr") or prefix.rpartition("/")[2] == ".zarr":
            message = f"out={out!r} has to end in .zarr, by which stores are told."
            raise ArgumentValueError(message)
        with using_options(options):
            bucket = Bucket.from_location(location)
        if not bucket.can_list:
            message = f"out={out!r} is of a host that takes no objects; give a URL such as s3://bucket/{prefix}."
            raise ArgumentValueError(message)
        told = [f"{name}={value}" for name, value in (options or {}).items() if any(n in name for n in _NAMES_OF_STORE)]
        digest = hashlib.blake2b("\n".join([bucket.url(prefix), *sorted(told)]).encode(), digest_size=8).hexdigest()
        return cls(bucket, prefix, cache_folder() / "conversions" / digest)

    @property
    def url(self) -> str:
        """The URL of the store."""
        return self.bucket.url(self.prefix)

    @property
    def local(self) -> Path:
        """The path of the store on this machine."""
        return self.folder / self.prefix.rpartition("/")[2]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have the folder while the context lasts; an empty one is removed after it."""
        with writing_to(self.local):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            yield
        finally:
            with suppress(OSError):  # it has the rest of an interrupted conversion
                self.folder.rmdir()

    def refuse_others(self, space: Workspace) -> None:
        """Raise if something is there that this conversion did not begin to put there.

        Raises
        ------
        ExistingFileError
            If there is.
        """
        if space.is_finished:
            return
        found = self._listed()
        if found or self.bucket.find(self.prefix) is not None:
            raise self._in_the_way(next(iter(found), ""))

    def put(self, space: Workspace, bar: Bar) -> None:
        """Put all objects that are not there yet.

        Raises
        ------
        ExistingFileError
            If an object of another content is there, which is left as it is.
        UnreachableStoreError
            If the store does not answer; the next call goes on.
        """
        keys = sorted(path.relative_to(space.out).as_posix() for path in space.out.rglob("*") if path.is_file())
        keys.remove(_ROOT)
        journal = Journal(space.folder / "objects.jsonl")
        found, ours = self._listed(), {key: ObjectVersion(*version) for key, *version in journal.entries()}
        strange = sorted(set(found) - {*keys, _ROOT})
        if strange:
            raise self._in_the_way(strange[0])
        left = [key for key in keys if key not in found or found[key] != ours.get(key)]

        def put(key: str) -> None:
            version = self._put(space.out, key)
            with writing_to(journal.path):
                journal.note(key, *version)

        with bar(f"Putting {self.url}", len(left) + 1, "objects") as advance:
            with ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="scdataset-putting") as threads:
                try:
                    for future in as_completed([threads.submit(put, key) for key in left]):
                        future.result()
                        advance(1)
                finally:
                    threads.shutdown(cancel_futures=True)
            self._put(space.out, _ROOT)
            advance(1)

    def _put(self, store: Path, key: str) -> ObjectVersion:
        """Put an object, or find that it is there, and return its version."""
        content = (store / key).read_bytes()
        whole = f"{self.prefix}/{key}"
        version = self.bucket.create(whole, content)
        if version is None:  # this process ended before it noted it, or it is another's
            version, answer = self.bucket.fetch(whole, 0, max(len(content), 1), None)
            if version.size != len(content) or bytes(self.bucket.body(whole, answer, version.size)) != content:
                raise self._in_the_way(key)
        return version

    def _listed(self) -> dict[str, ObjectVersion]:
        """Return the objects of the store that are there, without an empty one by which some programs mark a folder."""
        found = self.bucket.walk(self.prefix)
        return {key.removeprefix(f"{self.prefix}/"): one for key, one in found.items() if key != self.prefix}

    def _in_the_way(self, key: str) -> ExistingFileError:
        """Return the error of an object of the store; of one of the name of the store if ``key`` is empty."""
        there = f"{self.url}/{key}".rstrip("/")
        message = (
            f"{there} is there already, and not of this conversion; nothing is written over. Give another URL, or "
            "remove it."
        )
        return ExistingFileError(message)

    def clean_up(self) -> None:
        """Remove the store of this machine, and all that was noted about it, at once."""
        finished = self.folder.with_name(f"{self.folder.name}.finished")
        shutil.rmtree(finished, ignore_errors=True)
        self.folder.rename(finished)
        shutil.rmtree(finished)

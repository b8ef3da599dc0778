"""Object stores: one URL, its store, and errors that name the object and the remedy.

    s3://bucket/key    gs://bucket/key    az://container/key    https://host/path

Requests go through obstore, which retries with back-off. Its threads do not survive a fork, in which it would wait for
them without end: a forked child of a process that used it is refused.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from scdataset._arguments import nearest
from scdataset._packages import needing
from scdataset._tables import counted
from scdataset.engine.bytes.stores import SCHEMES, store_at
from scdataset.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    DamagedFileError,
    LoaderError,
    MissingFileError,
    ScDatasetError,
    UnreachableStoreError,
    UnreadableFileError,
)

if TYPE_CHECKING:
    from types import ModuleType

    from obstore import Bytes, GetOptions, GetResult, ObjectMeta, PutResult
    from obstore.store import ObjectStore

__all__ = ["Bucket", "Location", "ObjectVersion", "is_url", "opening", "using_options"]

T = TypeVar("T")

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")

_OF_HOSTS = ("http", "https")

_AS_IS = "/ !\"#$&'()+,:;<=>@\\^`{|}~"
"""Characters of a path that its URL has as they are, beside letters: it is read by people, and again here."""

_NO_HOST = re.compile(r"[\s<>\"\\^`{|}*?]")
"""Characters that no bucket and no host has in its name."""

_LOOK = 0.2
"""Seconds after which a signal is seen that came just before waiting for an answer began."""

_LISTED = 1000
"""Names of neighbours that are looked at for one that is near a missing one."""


def is_url(path: str) -> bool:
    """Tell whether a path is a URL."""
    return _URL.match(path) is not None


@dataclass(frozen=True, slots=True)
class Opening:
    """Objects that are being opened together.

    Attributes
    ----------
    options
        The storage options of all.
    versions
        The versions of objects that were listed, by URL: these need not be asked for again.
    memory_map
        Whether files of this machine are mapped into memory; see `LocalFile`.
    """

    options: Mapping[str, object] = field(default_factory=dict)
    versions: dict[str, "ObjectVersion"] = field(default_factory=dict)
    memory_map: bool = False


_OPENING: ContextVar[Opening | None] = ContextVar("opening", default=None)


@contextmanager
def using_options(options: Mapping[str, object] | None, *, memory_map: bool = False) -> Iterator[None]:
    """Take these options for every object and file that is opened inside, and keep them with it.

    None leaves those that are there already.

    Raises
    ------
    ArgumentTypeError
        If they are no dict.
    """
    if not isinstance(options, Mapping | None):
        message = f"storage_options={options!r} is of type {type(options).__name__}; give a dict, or None."
        raise ArgumentTypeError(message)
    if options is None and not memory_map and _OPENING.get() is not None:
        yield
        return
    token = _OPENING.set(Opening(dict(options or {}), memory_map=memory_map))
    try:
        yield
    finally:
        _OPENING.reset(token)


def opening() -> Opening:
    """Return the options and versions of the collection that is being opened."""
    return _OPENING.get() or Opening()


@dataclass(frozen=True, slots=True)
class Location:
    """The parts of a URL.

    Attributes
    ----------
    scheme, host
        Such as ``s3`` and the bucket.
    key
        The object in it; of a host the path, in which ``%20`` and the like were decoded, as in all URLs of the web.
    """

    scheme: str
    host: str
    key: str

    @classmethod
    def from_url(cls, url: str) -> "Location":
        """Divide a URL.

        Raises
        ------
        ArgumentValueError
            If its scheme is not known, or it names no bucket.
        """
        match = _URL.match(url)
        scheme = match[1].lower() if match else ""
        if scheme not in SCHEMES:
            message = (
                f"{url!r} is a URL of the scheme {scheme!r}; give one of {[f'{one}://' for one in SCHEMES]}, or the "
                f"path of a file{nearest(scheme, list(SCHEMES))}"
            )
            raise ArgumentValueError(message)
        host, _, key = url[len(scheme) + 3 :].partition("/")
        if not host or _NO_HOST.search(host):
            what = f"has {host!r} for a bucket or host, which is no name of one" if host else "names no bucket or host"
            message = f"{url!r} {what}; give {scheme}://bucket/key."
            raise ArgumentValueError(message)
        return cls(scheme, host, unquote(key) if scheme in _OF_HOSTS else key)

    @property
    def root(self) -> str:
        """The URL of the bucket, without a slash at its end."""
        return f"{self.scheme}://{self.host}"


class ObjectVersion(NamedTuple):
    """A version of an object: size in bytes, ETag or an empty text, and time of change where there is no ETag."""

    size: int
    etag: str
    modified: str

    @classmethod
    def from_meta(cls, meta: "ObjectMeta") -> "ObjectVersion":
        """Return the version in the metadata of obstore."""
        etag = meta["e_tag"] or ""
        return cls(meta["size"], etag, "" if etag else str(meta["last_modified"]))

    @property
    def condition(self) -> str | None:
        """The ETag as the condition of a request; None where it is none or weak, which no condition holds for."""
        return self.etag if self.etag and not self.etag.startswith("W/") else None


class _Process:
    """Whether this process used obstore, or its parent did before the fork."""

    used = False
    inherited = False


def _begin_anew() -> None:
    """Note that stores are the parent's; they are kept, since closing them takes threads that are not here."""
    _Process.inherited = _Process.inherited or _Process.used
    _Process.used = False


@dataclass(frozen=True)
class Bucket:
    """A bucket, container or host, with the options that reach it; it is pickled without connections.

    Parameters
    ----------
    root
        Its URL.
    options
        As ``storage_options`` of `open_collection`, as JSON.
    """

    root: str
    options: str = field(repr=False)  # it may hold secrets

    @classmethod
    def from_location(cls, location: Location) -> "Bucket":
        """Return the bucket of a location, with the options of the collection that is being opened.

        Raises
        ------
        ArgumentValueError
            If an option is none.
        """
        try:
            return cls(location.root, json.dumps(dict(opening().options), sort_keys=True))
        except TypeError as error:
            types = {name: type(value) for name, value in opening().options.items()}  # values may be secret
            message = f"storage_options={types} have to be texts, numbers, flags and dicts: {error}."
            raise ArgumentValueError(message) from error

    def url(self, key: str) -> str:
        """Return the URL of a key."""
        return f"{self.root}/{key if self.can_list else quote(key, safe=_AS_IS)}"

    def fetch(
        self, key: str, start: int, stop: int, version: ObjectVersion | None
    ) -> tuple[ObjectVersion, "GetResult"]:
        """Ask for bytes [start, stop), and return the version of the object and the answer, whose body is to be read.

        Parameters
        ----------
        version
            The version that it has to be; None for any.

        Raises
        ------
        DamagedFileError
            If it is another version.
        """
        options: GetOptions = {"range": (start, stop)}
        if version is not None and version.condition is not None:
            options["if_match"] = version.condition
        answer = self._ask(key, lambda obstore, store: obstore.get(store, key, options=options), version)
        return self._same(key, answer.meta, version), answer

    def body(self, key: str, answer: "GetResult", size: int) -> "Bytes":
        """Return the bytes of an answer.

        Raises
        ------
        UnreachableStoreError
            If it has not ``size`` of them.
        """
        body = self._ask(key, lambda _obstore, _store: answer.bytes())
        if len(body) != size:
            message = f"{self.url(key)} was sent with {len(body):,} of {counted(size, 'byte')}; try again."
            raise UnreachableStoreError(message)
        return body

    def head(self, key: str, version: ObjectVersion | None = None) -> ObjectVersion:
        """Return the version of an object now.

        Raises
        ------
        DamagedFileError
            If it is not ``version``.
        """
        meta = self._ask(key, lambda obstore, store: obstore.head(store, key), version)
        return self._same(key, meta, version)

    def find(self, key: str) -> ObjectVersion | None:
        """Return the version of an object now; None if there is none."""

        def question(obstore: "ModuleType", store: "ObjectStore") -> "ObjectMeta | None":
            try:
                found: ObjectMeta = obstore.head(store, key)
            except FileNotFoundError:
                return None
            return found

        meta = self._ask(key, question)
        return None if meta is None else ObjectVersion.from_meta(meta)

    def create(self, key: str, content: bytes) -> ObjectVersion | None:
        """Write an object, and return its version; None if one is there, which stays as it is."""

        def question(obstore: "ModuleType", store: "ObjectStore") -> "PutResult | None":
            try:
                written: PutResult = obstore.put(store, key, content, mode="create")
            except obstore.exceptions.AlreadyExistsError:
                return None
            return written

        made = self._ask(key, question, doing="written")
        if made is None:
            return None
        etag = made["e_tag"] or ""
        return ObjectVersion(len(content), etag, "") if etag else self.head(key)

    def entries(self, folder: str) -> tuple[list[str], dict[str, ObjectVersion]]:
        """Return the folders and the objects right in a folder, by their whole keys, in the order of names."""
        found = self._ask(folder, lambda obstore, store: obstore.list_with_delimiter(store, folder or None))
        objects = {one["path"]: ObjectVersion.from_meta(one) for one in found["objects"] if one["path"] != folder}
        return sorted(found["common_prefixes"]), dict(sorted(objects.items()))

    def walk(self, folder: str) -> dict[str, ObjectVersion]:
        """Return all objects below a folder, by their whole keys."""
        found = self._ask(folder, lambda obstore, store: obstore.list(store, folder or None).collect())
        return {one["path"]: ObjectVersion.from_meta(one) for one in found}

    @property
    def can_list(self) -> bool:
        """Whether objects can be listed; hosts of HTTP have no way to."""
        return not self.root.startswith(_OF_HOSTS)

    def _same(self, key: str, meta: "ObjectMeta", version: ObjectVersion | None) -> ObjectVersion:
        found = ObjectVersion.from_meta(meta)
        if version is not None and found != version:
            raise self._replaced(key)
        return found

    def _ask(
        self,
        key: str,
        question: Callable[["ModuleType", "ObjectStore"], T],
        version: ObjectVersion | None = None,
        *,
        doing: str = "read",
    ) -> T:
        """Return the answer of obstore, or raise the error of this package that says the same."""
        with needing(f"{self.url(key)}, in an object store (the extra 'scdataset[cloud]'),", "obstore"):
            import obstore  # noqa: PLC0415 an optional package
            from obstore import exceptions  # noqa: PLC0415 as above
        _refuse_forked(self.url(key))
        store = store_at(self.root, self.options)
        try:
            return _interruptible(partial(question, obstore, store))
        except ScDatasetError:
            raise
        except FileNotFoundError as error:
            if version is not None:
                message = f"{self.url(key)} has vanished since it was opened: {_first_line(error)}"
                raise DamagedFileError(message) from error
            raise self.missing(key) from error
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise self._refused(key, error, doing) from error
        except exceptions.PreconditionError as error:
            raise self._replaced(key) from error
        except ValueError as error:
            message = (
                f"{self.url(key)!r} has a key that cannot be asked for: {_first_line(error)} The parts of a key "
                "between slashes may not be empty, '.' or '..', or have control characters; copy the object to another."
            )
            raise ArgumentValueError(message) from error
        except exceptions.BaseError as error:
            raise self._unreachable(key, error, doing) from error

    def _replaced(self, key: str) -> DamagedFileError:
        return DamagedFileError(f"{self.url(key)} was replaced or changed since it was opened; open it again.")

    def _refused(self, key: str, error: Exception, doing: str) -> UnreadableFileError:
        if not self.can_list:
            return UnreadableFileError(
                f"{self.url(key)} may not be {doing}: {_first_line(error)} Where its host asks for a header, give it "
                "as storage_options={'default_headers': {'Authorization': ...}}."
            )
        return UnreadableFileError(
            f"{self.url(key)} may not be {doing} with these credentials: {_first_line(error)} Give others by the "
            "environment or by storage_options, renew them if they have expired, or give "
            "storage_options={'anonymous': True} for public data."
        )

    def _unreachable(
        self, key: str, error: Exception, doing: str
    ) -> UnreachableStoreError | UnreadableFileError | MissingFileError:
        said = _first_line(error)
        if "invalid path" in said:
            message = f"{self.url(key)} cannot be listed, for the key of an object in it: {said} Give a list of URLs."
            return UnreadableFileError(message)
        if "Range request not supported" in said:
            message = (
                f"{self.url(key)} is not sent in parts: its host sends files whole alone, or a page in place of the "
                f"file. Copy it to a disk or a bucket. ({said})"
            )
            return UnreadableFileError(message)
        if "NoSuchBucket" in said or "404 Not Found" in said:
            return MissingFileError(f"{self.url(key)} cannot be listed: there is no {self.root}. ({said})")
        remedy = "Try again, or see whether the store can be reached from here"
        if "169.254." in said or "redential" in said or "metadata.google" in said or "oken" in said:
            remedy = (
                "There are no credentials: set them in the environment or in storage_options, or give "
                "storage_options={'anonymous': True} for public data"
            )
        return UnreachableStoreError(f"{self.url(key)} cannot be {doing}: {said} {remedy}.")

    def missing(self, key: str) -> MissingFileError:
        """Return the error of a key that is not there, with names that are near it."""
        near = "."
        if self.can_list:
            folder, _, name = key.rstrip("/").rpartition("/")
            try:
                folders, objects = self.entries(folder)
                names = [one.rpartition("/")[2] for one in (*folders, *objects)]
                if key.rstrip("/") in folders:
                    near = f" as an object. There is a folder of this name: {self.url(key.rstrip('/'))}/"
                else:
                    near = nearest(name, names[:_LISTED]) if names else f": there is nothing in {self.url(folder)}."
            except MissingFileError:
                near = f": there is no {self.root}."
            except (ScDatasetError, OSError):  # it may not be listed
                near = "; nor can its bucket or folder be listed."
        return MissingFileError(f"{self.url(key)} does not exist{near}")


def _interruptible(request: Callable[[], T]) -> T:
    """Make a request; one of the main thread in another, since Ctrl-C is not seen while obstore waits for an answer."""
    if threading.current_thread() is not threading.main_thread():
        return request()
    future: Future[T] = Future()

    def answer() -> None:
        try:
            future.set_result(request())
        except BaseException as error:  # noqa: BLE001 it is raised where the future is waited for
            future.set_exception(error)

    threading.Thread(target=answer, name="scdataset-request", daemon=True).start()
    while not wait((future,), _LOOK).done:
        pass
    return future.result()


def _refuse_forked(url: str) -> None:
    if _Process.inherited:
        message = (
            f"{url} cannot be read in a forked process: its parent has read from object stores, whose connections do "
            "not survive a fork. Use num_workers=0, which is the fastest, or DataLoader(..., "
            "multiprocessing_context='spawn') or 'forkserver'."
        )
        raise LoaderError(message)
    _Process.used = True


def _first_line(error: Exception) -> str:
    line = str(error).split("\n", 1)[0].strip()
    return line if line.endswith(".") else f"{line}."


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

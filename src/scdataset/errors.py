"""Everything this package raises on purpose.

Each type also inherits the builtin that callers already catch::

    ScDatasetError
    ├── ArgumentTypeError         (TypeError)       an argument has the wrong type
    │   ├── RemovedApiError                         a call that version 0.1 understood
    │   └── UnimplementedError    (NotImplementedError)  a method that has to be written, or does not apply
    ├── ArgumentValueError        (ValueError)      an argument has the right type and a wrong value
    │   ├── ArgumentIndexError    (IndexError)      a row or gene number is out of range
    │   ├── ExistingFileError     (FileExistsError) a path where something is to be written is taken
    │   ├── MissingFileError      (FileNotFoundError)  a path leads nowhere
    │   ├── UnreadableFileError   (PermissionError) a path may not be read
    │   └── WorldError            (RuntimeError)    rank or world_size does not fit the processes there are
    ├── CacheError                (OSError)         a copy that is needed cannot be written
    ├── CollectionError           (TypeError)       a collection cannot be read as it was given
    ├── CollectionChangedError    (RuntimeError)    a collection has changed since construction
    ├── DamagedFileError          (OSError)         the content of a file contradicts itself
    ├── HookError                 (ValueError, TypeError)  a hook cannot be called or sent, or its result cannot be used
    ├── LoaderError               (RuntimeError)    the DataLoader around the dataset is set up wrongly
    ├── MissingDependencyError    (ImportError)     an optional package is needed and absent
    ├── OutputError               (OSError)         a store cannot be written, as where a disk is full
    ├── ReadOnlyError             (AttributeError)  an attribute was assigned that would have no effect
    ├── StateError                (ValueError)      a saved state cannot be read, or belongs to something else
    └── UnreachableStoreError     (ConnectionError) an object store does not answer, or not with the whole

Every message is one string, so that an error raised in a DataLoader worker arrives whole.
"""

__all__ = [
    "ArgumentIndexError",
    "ArgumentTypeError",
    "ArgumentValueError",
    "CacheError",
    "CollectionChangedError",
    "CollectionError",
    "DamagedFileError",
    "ExistingFileError",
    "HookError",
    "LoaderError",
    "MissingDependencyError",
    "MissingFileError",
    "OutputError",
    "ReadOnlyError",
    "RemovedApiError",
    "ScDatasetError",
    "StateError",
    "UnimplementedError",
    "UnreachableStoreError",
    "UnreadableFileError",
    "WorldError",
]


class ScDatasetError(Exception):
    """Base of every error of this package."""


class ArgumentTypeError(ScDatasetError, TypeError):
    """An argument has the wrong type."""


class RemovedApiError(ArgumentTypeError):
    """A call in the style of version 0.1, with the way to write it now."""


class UnimplementedError(ArgumentTypeError, NotImplementedError):
    """A method that a subclass has to write is missing, or an operation does not apply to this kind of object."""


class ArgumentValueError(ScDatasetError, ValueError):
    """An argument has the right type and a value that is not allowed."""


class ArgumentIndexError(ArgumentValueError, IndexError):
    """A row or gene number is out of range."""


class WorldError(ArgumentValueError, RuntimeError):
    """Rank or world_size does not fit the processes that there are."""


class ExistingFileError(ArgumentValueError, FileExistsError):
    """Something is there already where a file or store is to be written."""


class MissingFileError(ArgumentValueError, FileNotFoundError):
    """A path leads nowhere."""


class UnreadableFileError(ArgumentValueError, PermissionError):
    """A path leads to a file or folder that this user may not read."""


class CacheError(ScDatasetError, OSError):
    """A file can be read only through a copy, and there is no place to write it to."""


class CollectionError(ScDatasetError, TypeError):
    """A collection cannot be read as it was given."""


class CollectionChangedError(ScDatasetError, RuntimeError):
    """A collection has changed since the dataset was made."""


class DamagedFileError(ScDatasetError, OSError):
    """A file is truncated, overwritten or inconsistent; the message names file, array and chunk."""


class HookError(ScDatasetError, ValueError, TypeError):
    """A hook cannot be called or sent to a worker, or returned something that cannot be used."""


class LoaderError(ScDatasetError, RuntimeError):
    """The DataLoader around the dataset is set up in a way that gives wrong batches."""


class MissingDependencyError(ScDatasetError, ImportError):
    """An optional package is needed and not installed."""


class OutputError(ScDatasetError, OSError):
    """A store cannot be written; the message says why, and how to go on."""


class ReadOnlyError(ScDatasetError, AttributeError):
    """An attribute was assigned that would have no effect; the message says how to get it."""


class StateError(ScDatasetError, ValueError):
    """A saved state is damaged, of another version, or of another dataset; the message has both values."""


class UnreachableStoreError(ScDatasetError, ConnectionError):
    """An object store does not answer after all retries, or breaks off; the message names the object."""

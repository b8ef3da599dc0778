"""Everything this package raises on purpose.

Each type also inherits the builtin that callers already catch::

    ScDatasetError
    ├── ArgumentTypeError         (TypeError)       an argument has the wrong type
    │   └── RemovedApiError                         a call that version 0.1 understood
    ├── ArgumentValueError        (ValueError)      an argument has the right type and a wrong value
    ├── CollectionError           (TypeError)       a collection cannot be read as it was given
    ├── CollectionChangedError    (RuntimeError)    a collection is not what it was at construction
    ├── DamagedFileError          (OSError)         a file does not hold what it says it holds
    ├── HookError                 (ValueError)      a hook returned something that cannot be cut into batches
    ├── LoaderError               (RuntimeError)    the DataLoader around the dataset is set up wrongly
    ├── MissingDependencyError    (ImportError)     an optional package is needed and absent
    └── StateError                (ValueError)      a saved state cannot be read, or belongs to something else

Every message is one string, so that an error raised in a DataLoader worker arrives whole.
"""

__all__ = [
    "ArgumentTypeError",
    "ArgumentValueError",
    "CollectionChangedError",
    "CollectionError",
    "DamagedFileError",
    "HookError",
    "LoaderError",
    "MissingDependencyError",
    "RemovedApiError",
    "ScDatasetError",
    "StateError",
]


class ScDatasetError(Exception):
    """Base of every error of this package."""


class ArgumentTypeError(ScDatasetError, TypeError):
    """An argument has the wrong type."""


class RemovedApiError(ArgumentTypeError):
    """A call in the style of version 0.1, with the way to write it now."""


class ArgumentValueError(ScDatasetError, ValueError):
    """An argument has the right type and a value that is not allowed."""


class CollectionError(ScDatasetError, TypeError):
    """A collection cannot be read as it was given."""


class CollectionChangedError(ScDatasetError, RuntimeError):
    """A collection is not what it was when the dataset was made."""


class DamagedFileError(ScDatasetError, OSError):
    """A file is truncated, overwritten or inconsistent; the message names file, array and chunk."""


class HookError(ScDatasetError, ValueError):
    """A hook returned something that cannot be cut into the batches asked for."""


class LoaderError(ScDatasetError, RuntimeError):
    """The DataLoader around the dataset is set up in a way that gives wrong batches."""


class MissingDependencyError(ScDatasetError, ImportError):
    """An optional package is needed and not installed."""


class StateError(ScDatasetError, ValueError):
    """A saved state is damaged, of another version, or of another dataset; the message has both values."""

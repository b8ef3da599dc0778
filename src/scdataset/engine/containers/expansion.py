"""Bounds on a copy of a file that is packed: a kilobyte of Parquet may hold any number of equal rows."""

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from scdataset._tables import bytes_text, counted
from scdataset.engine.bytes.source import ByteSource
from scdataset.errors import DamagedFileError

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData

__all__ = ["Expansion", "Unpacked", "check_unpacked", "least_size"]

_FREE = 1 << 30
"""Bytes that any copy may have."""

_RATIO = 100
"""How many times as long as the file a larger one may be: rows of counts are 3 to 20 times as long."""

_WIDTHS = {"BOOLEAN": 1, "INT32": 1, "INT64": 8, "FLOAT": 2, "DOUBLE": 8}
"""Bytes that a value of a physical type of Parquet takes at least; those of other types may share theirs."""


class Unpacked:
    """The bytes of the content of a file, as it is unpacked.

    Parameters
    ----------
    source
        The file.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._unpacked = 0

    def add(self, n_bytes: int) -> None:
        """Count bytes that are going to be unpacked or written.

        Raises
        ------
        DamagedFileError
            If they are more than the file can hold.
        """
        self._unpacked += n_bytes
        check_unpacked(self._source, self._unpacked)


class Expansion(Unpacked):
    """The bytes of a copy, as it is written.

    Parameters
    ----------
    source, target
        The file, and its copy.
    least
        Bytes that the copy will have at least, as far as that is known.

    Raises
    ------
    DamagedFileError
        If these are more than it can have.
    OSError
        If these are more than there is space for, ENOSPC.
    """

    def __init__(self, source: ByteSource, target: Path, least: int = 0) -> None:
        super().__init__(source)
        check_unpacked(source, least)
        free = shutil.disk_usage(target.parent).free
        if least > free:
            raise OSError(
                errno.ENOSPC,
                f"{os.strerror(errno.ENOSPC)}: {bytes_text(least)}, of {bytes_text(free)} free",
                str(target),
            )


def check_unpacked(source: ByteSource, n_bytes: int) -> None:
    """Raise if a file unpacks to more bytes than one of its size can hold."""
    most = _FREE + _RATIO * source.size
    if n_bytes > most:
        message = (
            f"{source.path} unpacks to {counted(n_bytes, 'byte')} or more, where a file of its size can hold at most "
            f"{most:,}; it is damaged, or was made to fill disks or memory."
        )
        raise DamagedFileError(message)


def least_size(metadata: "FileMetaData") -> int:
    """Return how many bytes the columns of a Parquet file take at least, by its metadata.

    Pages are counted as they are when they are decompressed, or by the width of their values if that is more.
    """
    numbers = range(metadata.num_columns)
    fixed = {number: metadata.schema.column(number).length for number in numbers}
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    columns = ((group.column(number), fixed[number]) for group in groups for number in numbers)
    return sum(
        max(column.num_values * (length or _WIDTHS.get(column.physical_type, 0)), column.total_uncompressed_size)
        for column, length in columns
    )

"""Bounds on a copy of a file that is packed: a kilobyte of Parquet may hold any number of equal rows."""

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from scdataset.engine.bytes.source import ByteSource
from scdataset.errors import DamagedFileError

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData

__all__ = ["Expansion", "check_unpacked", "least_size"]

_FREE = 1 << 30
"""Bytes that any copy may have."""

_RATIO = 100
"""How many times as long as the file a larger one may be: rows of counts are 3 to 20 times as long."""

_WIDTHS = {"BOOLEAN": 1, "INT32": 1, "INT64": 8, "FLOAT": 2, "DOUBLE": 8}
"""Bytes that a value of a physical type of Parquet takes at least; those of other types may share theirs."""


class Expansion:
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
        self._source = source
        self._written = 0
        check_unpacked(source, least)
        free = shutil.disk_usage(target.parent).free
        if least > free:
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {least} bytes, of {free} free", str(target))

    def add(self, n_bytes: int) -> None:
        """Count bytes that are going to be written.

        Raises
        ------
        DamagedFileError
            If they are more than the copy can have.
        """
        self._written += n_bytes
        check_unpacked(self._source, self._written)


def check_unpacked(source: ByteSource, n_bytes: int) -> None:
    """Raise if a file unpacks to more bytes than one of its size can hold."""
    most = _FREE + _RATIO * source.size
    if n_bytes > most:
        message = (
            f"{source.path} unpacks to {n_bytes} bytes or more, where a file of its size can hold at most {most}; it "
            "is damaged, or was made to fill disks or memory."
        )
        raise DamagedFileError(message)


def least_size(metadata: "FileMetaData") -> int:
    """Return how many bytes the columns of a Parquet file take at least, by its metadata.

    Pages are counted as they are when they are decompressed, or by the width of their values if that is more.
    """
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    columns = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(
        max(column.num_values * _WIDTHS.get(column.physical_type, 0), column.total_uncompressed_size)
        for column in columns
    )

"""The identity of a file: tells it from any other file, and from itself before a change."""

import os
from operator import attrgetter
from typing import NamedTuple, Self

__all__ = ["FileIdentity"]

_OF_STATUS = attrgetter(
    "st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns", "st_mode", "st_uid", "st_gid", "st_nlink"
)
"""The fields of an identity in a status, at once: it is compared for every file of every read."""


class FileIdentity(NamedTuple):
    """The status of a file.

    Attributes
    ----------
    device, inode
        Number of the file system, and of the file in it.
    size
        Bytes.
    modified, status_changed
        Times of the last change of content and of status, in nanoseconds.
    mode, owner, group, links
        Permissions, user, group and number of names; a change of them alone changes ``status_changed`` too.
    """

    device: int
    inode: int
    size: int
    modified: int
    status_changed: int
    mode: int
    owner: int
    group: int
    links: int

    @classmethod
    def from_status(cls, status: os.stat_result) -> Self:
        """Return the identity in the result of ``os.stat`` or ``os.fstat``."""
        return cls._make(_OF_STATUS(status))

    @property
    def content(self) -> tuple[int, ...]:
        """The numbers that change with the content: device, inode, size and both times."""
        return self[:5]

    def is_same_file(self, other: "FileIdentity") -> bool:
        """Tell whether both are one file, whatever it holds."""
        return self[:2] == other[:2]

    def has_same_content(self, other: "FileIdentity") -> bool:
        """Tell whether both are one file of the same size and time of modification: enough for an open descriptor."""
        return self[:4] == other[:4]

    def is_unchanged(self, other: "FileIdentity") -> bool:
        """Tell whether both are one file, unchanged: required of a file that is reached by its path again.

        Content written with its time of modification set back shows in the time of status alone. So does a chmod, chown
        or hard link, which is harmless and shows in the mode, owner or number of links as well.
        """
        return self == other or (
            self.has_same_content(other) and (self.status_changed == other.status_changed or self[5:] != other[5:])
        )

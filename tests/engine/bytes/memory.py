"""Objects in files of a folder, read as from far away: without descriptors, and by ranges that are counted."""

from dataclasses import dataclass, field


@dataclass
class Far:
    """A version of an object; its content lies in a file, so that other processes find it."""

    path: str
    size: int = field(init=False)
    version: bytes = field(init=False)
    n_reads: int = field(default=0, compare=False)
    is_settled = True
    checks = False

    def __post_init__(self):
        self.version = self._content()
        self.size = len(self.version)
        self.version = hash(self.version).to_bytes(8, "big", signed=True)

"""Properties that are computed once for each object, without the lock that `functools.cached_property` has in 3.11.

That lock is one for all objects: a process that is forked while a thread computes such a property waits for it
without end.
"""

import sys
from functools import cached_property
from typing import TYPE_CHECKING

__all__ = ["cached_property"]

if sys.version_info < (3, 12) and not TYPE_CHECKING:
    from contextlib import nullcontext

    class cached_property(cached_property):  # noqa: N801 as it is known
        """A property that is computed once; two threads that ask at the same time may both compute it."""

        def __init__(self, function) -> None:  # noqa: ANN001 types are those of functools
            super().__init__(function)
            self.lock = nullcontext()

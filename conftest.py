"""Modules of packages that are not to be had on every system, whose examples run where they are installed."""

from importlib.util import find_spec

_NEEDED = {"cellstream": "src/scdataset/cells/formats/cellstream.py"}

collect_ignore = [path for package, path in _NEEDED.items() if find_spec(package) is None]

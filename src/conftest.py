"""Leaves out modules without examples that run: of training frameworks, slow to import, and of rare packages."""

from importlib.util import find_spec

collect_ignore_glob = ["scdataset/integrations/*.py"]
if find_spec("cellstream") is None:
    collect_ignore_glob.append("scdataset/cells/formats/cellstream.py")

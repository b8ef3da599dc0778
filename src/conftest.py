"""Leaves out modules that import whole training frameworks, and have no examples that run."""

collect_ignore_glob = ["scdataset/integrations/*.py"]

"""The scripts here are run by tests in processes of their own, and not looked through for examples."""

collect_ignore_glob = ["*_run.py", "bare_loop.py"]

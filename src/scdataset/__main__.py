"""``python -m scdataset``."""

from scdataset.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

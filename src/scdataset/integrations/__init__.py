"""Data modules for other packages, one file a package; each imports its own."""

"""One module a format of files or folders of cells, and the registry of them."""

"""Data sets that are read from files: where the files are, and reading them."""

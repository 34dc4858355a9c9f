"""Data sets that do not come with a library: where their files are, and what is in them."""

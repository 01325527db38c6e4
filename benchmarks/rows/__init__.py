"""One file, one row."""

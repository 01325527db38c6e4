"""Benchmarks: each row measures ours against a reference, alternating in one process on one thread."""

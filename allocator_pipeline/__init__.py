"""A weekly portfolio allocator by reinforcement learning, run as a Dagster project."""

"""Market data: pure functions and sources, frames in and validated frames out."""

"""Vendors of data on loopback, which speak the wire formats of the real ones; and fail as they do."""

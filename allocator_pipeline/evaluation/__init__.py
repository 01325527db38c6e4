"""Out-of-sample simulation, metrics and reports."""

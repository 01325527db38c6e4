"""Reports by mail."""

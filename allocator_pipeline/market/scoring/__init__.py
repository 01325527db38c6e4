"""What texts are scored by, and the memory of scores."""

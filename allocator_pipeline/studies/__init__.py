"""Studies on generated markets whose truth is known."""

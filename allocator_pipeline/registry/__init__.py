"""Model artefacts and the promotion of champions."""

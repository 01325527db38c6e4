"""Full training and fine-tuning of policies."""

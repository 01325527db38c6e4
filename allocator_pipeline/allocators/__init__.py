"""Policies and baselines that turn a state into target weights."""

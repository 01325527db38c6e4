"""Decisions and labelled experience."""

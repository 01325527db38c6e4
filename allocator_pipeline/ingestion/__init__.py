"""Ingestion: what is missing of raw data is asked of the vendors, and every whole answer is kept at once."""

"""Positive records: import, validation, provenance and freshness."""

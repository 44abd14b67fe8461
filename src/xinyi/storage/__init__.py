"""The database, the short-lived shared state and the key files."""

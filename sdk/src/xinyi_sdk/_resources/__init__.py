"""The resources of the blocking client."""

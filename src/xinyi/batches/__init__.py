"""Batch prescreen: many checks as one job, answered by the very function that answers a call."""

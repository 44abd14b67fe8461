"""Feedback: what came of a check, as its partner says. It tells of the incentive, never of the subject."""

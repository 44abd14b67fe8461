"""xinyi: the credit-incentive (信易+) scenario API."""

__version__ = "0.1.0"

"""Checks: whether one scenario's published criteria are met by one subject who agreed. The story of the product."""

"""Consents: one subject, one partner, one scenario version, certain fields, one purpose, some time."""

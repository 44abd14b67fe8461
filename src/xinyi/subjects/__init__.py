"""The subjects of positive records: their identifiers, keyed pseudonyms, encryption at rest and pairwise ids."""

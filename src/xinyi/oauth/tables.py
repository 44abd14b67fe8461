"""Refresh tokens: as keyed hashes, since whoever reads the table must not be able to use them."""

from sqlalchemy import Column, Index, String, Table

from ..storage.types import UtcDateTime, metadata

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("family", String(64), nullable=False),
    Column("client_id", String(40), nullable=False),
    Column("consent_id", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Index(None, "family"),
)

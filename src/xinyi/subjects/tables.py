"""The table of subjects."""

from sqlalchemy import Column, LargeBinary, String, Table

from ..storage.types import UtcDateTime, metadata

subjects = Table(
    "subjects",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    # "<version>:<hex HMAC>": the version is part of the text, so one unique column serves every version
    Column("identifier_key", String(80), nullable=False, unique=True),
    Column("identifier_sealed", LargeBinary, nullable=False),
    Column("seal_version", String(8), nullable=False),
    Column("email_sealed", LargeBinary),
    Column("email_version", String(8)),
    Column("created_at", UtcDateTime, nullable=False),
)

"""Consents, one row each. Its times tell its state; nothing else stores one."""

from sqlalchemy import Column, Index, Integer, String, Table

from ..storage.types import Json, UtcDateTime, metadata

consents = Table(
    "consents",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("partner_id", String(32), nullable=False),
    Column("client_id", String(32), nullable=False),
    Column("scenario_id", String(64), nullable=False),
    Column("scenario_version", Integer, nullable=False),
    Column("scenario_digest", String(64), nullable=False),
    Column("units", Json, nullable=False),
    Column("form", String(16), nullable=False),
    Column("uses", String(16), nullable=False),
    Column("named_subject", String(128)),
    Column("subject_id", String(32)),
    Column("representative_id", String(32)),
    Column("language", String(8)),
    Column("notice_digest", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("request_expires_at", UtcDateTime, nullable=False),
    Column("authorised_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("paused_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("ended_as", String(32)),
    Column("end_reason", String(32)),
    Column("ended_by", String(16)),
    Column("use_count", Integer, nullable=False),
    Index(None, "partner_id", "id"),
    Index(None, "subject_id", "id"),
    Index(None, "named_subject"),
)

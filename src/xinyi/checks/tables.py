"""Checks and refusals, one row each."""

from sqlalchemy import Column, Index, Integer, String, Table, Text

from ..storage.types import UtcDateTime, metadata

checks = Table(
    "checks",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("partner_id", String(32), nullable=False),
    Column("client_id", String(32), nullable=False),
    Column("subject_id", String(32)),
    Column("consent_id", String(32), nullable=False),
    Column("scenario_id", String(64), nullable=False),
    Column("scenario_version", Integer),
    Column("reference", String(128), nullable=False),
    Column("outcome", String(16)),
    Column("refusal", String(32)),
    Column("body", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "partner_id", "id"),
    Index(None, "subject_id", "id"),
    postgresql_with={"toast_tuple_target": "8160"},  # a body stays as it is: compressing it costs more than storing it
)
"""``outcome`` and ``body`` (the answer's bytes, receipt included) of an answer; ``refusal`` (a code) of a refusal."""

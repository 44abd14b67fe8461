"""Feedback: one row a check that has any."""

from sqlalchemy import Column, String, Table

from ..storage.types import UtcDateTime, metadata

check_feedback = Table(
    "check_feedback",
    metadata,
    Column("partner_id", String(32), primary_key=True),
    Column("check_id", String(32), primary_key=True),
    Column("result", String(16), nullable=False),
    Column("benefit_band", String(16)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

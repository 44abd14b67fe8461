"""Consents, one row each, whose times tell its state; what was asked and signed beside them; mail that waits."""

from sqlalchemy import Column, Index, Integer, String, Table, Text, text

from ..storage.rights import APPEND_ONLY, CHANGING
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
    Column("sub_party_id", String(32)),
    Column("channel", String(16), nullable=False),
    Column("named_subject", String(128)),
    Column("subject_id", String(32)),
    Column("representative_id", String(32)),
    Column("language", String(8)),
    Column("notice_digest", String(64)),
    Column("text_digest", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("request_expires_at", UtcDateTime, nullable=False),
    Column("authorised_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("paused_at", UtcDateTime),
    Column("reminded_at", UtcDateTime),
    Column("extension_due_at", UtcDateTime),
    Column("warned_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("ended_as", String(32)),
    Column("end_reason", String(32)),
    Column("ended_by", String(16)),
    Column("use_count", Integer, nullable=False),
    Column("due_at", UtcDateTime),  # when the sweep has to look at it
    Index(None, "partner_id", "id"),
    Index(None, "subject_id", "id"),
    Index(None, "named_subject"),
    Index(None, "due_at"),
    # Room on each page for the next version of its rows: counting a use then touches no index.
    postgresql_with={"fillfactor": "75"},
)

extensions = Table(
    "consent_extensions",
    metadata,
    Column("consent_id", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("days", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("request_expires_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decision", String(16)),
    Column("expired_before", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    # One waits for an answer at most.
    Index(
        "ix_consent_extensions_undecided",
        "consent_id",
        unique=True,
        sqlite_where=text("decision IS NULL"),
        postgresql_where=text("decision IS NULL"),
    ),
)

copies = Table(
    "consent_copies",
    metadata,
    Column("consent_id", String(32), primary_key=True),
    Column("signed_at", UtcDateTime, primary_key=True),
    Column("jws", Text, nullable=False),
    info=APPEND_ONLY,
)

mails = Table(
    "consent_mails",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("consent_id", String(32), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Index(None, "due_at"),
    info=CHANGING,
)

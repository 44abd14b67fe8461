"""Tables of partners, sources, clients, and what a client was given."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, String, Table, Text

from ..storage.rights import APPEND_ONLY
from ..storage.types import Json, UtcDateTime, metadata

partners = Table(
    "partners",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", Json, nullable=False),
    Column("kind", String(60), nullable=False),
    Column("contact", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

sub_parties = Table(
    "sub_parties",
    metadata,
    Column("partner_id", ForeignKey(partners.c.id), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("name", Json, nullable=False),
    Column("contact", Text),
    Column("status", String(20), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""The branches and merchants that a partner acts by."""

sources = Table(
    "sources",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("name", Json, nullable=False),
    Column("record_types", Json, nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("partner_id", ForeignKey(partners.c.id), index=True),
    Column("source_id", ForeignKey(sources.c.id), index=True),
    Column("name", Text, nullable=False),
    Column("jwks", Json),
    Column("jwks_uri", Text),
    Column("redirect_uris", Json, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("(partner_id IS NULL) <> (source_id IS NULL)", name="one_owner"),
    CheckConstraint("(jwks IS NULL) <> (jwks_uri IS NULL)", name="one_place_of_keys"),
)

client_scenarios = Table(
    "client_scenarios",
    metadata,
    Column("client_id", ForeignKey(clients.c.id), primary_key=True),
    Column("scenario_id", String(60), primary_key=True),
    Column("units", Json),  # null: all that the scenario may disclose
)

key_changes = Table(
    "key_changes",
    metadata,
    Column("client_id", ForeignKey(clients.c.id), primary_key=True),
    Column("id", String(40), primary_key=True),
    Column("key_id", String(43), nullable=False),
    Column("kid", Text, nullable=False),
    Column("change", String(20), nullable=False),
    Column("made_by", String(20), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    info=APPEND_ONLY,
)
"""Which keys a client was given and lost, when, and by whom: by itself or by the operator."""

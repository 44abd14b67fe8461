"""Events in their partner's order, subscriptions, and the telling of the one to the other."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, literal_column

from ..storage.rights import CHANGING, SHRINKING
from ..storage.types import Json, UtcDateTime, metadata

event_heads = Table(
    "event_heads",
    metadata,
    Column("partner_id", String(40), primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""The number of each partner's newest event."""

events = Table(
    "events",
    metadata,
    Column("partner_id", String(40), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String(32), nullable=False),
    Column("type", String(64), nullable=False),
    Column("data", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "partner_id", "id", unique=True),
    Index(None, "at"),
    info=SHRINKING,
)

event_subscriptions = Table(
    "event_subscriptions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("partner_id", String(40), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("types", Json),
    Column("status", String(16), nullable=False),
    Column("disabled_reason", String(16)),
    Column("created_at", UtcDateTime, nullable=False),
    # sealed, see storage.sealing
    Column("secret", LargeBinary, nullable=False),
    Column("previous_secret", LargeBinary),
    Column("previous_until", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("failing_since", UtcDateTime),
    Column("held_until", UtcDateTime),
    Column("due_at", UtcDateTime),
    Index(None, "due_at"),
    info=CHANGING,
)

event_deliveries = Table(
    "event_deliveries",
    metadata,
    Column("partner_id", String(40), primary_key=True),
    Column("subscription_id", ForeignKey(event_subscriptions.c.id), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    # of a pending one: when it is tried next, or when whoever tries it now must have said what came of it
    Column("due_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("status", Integer),
    Column("failure", String(20)),
    info=CHANGING,
)
PENDING = event_deliveries.c.state == literal_column("'pending'")
DEAD = event_deliveries.c.state == literal_column("'dead'")
"""Written out, since a parameter would hide from the database that its index of them will do."""
Index(
    "ix_event_deliveries_pending",
    event_deliveries.c.subscription_id,
    event_deliveries.c.due_at,
    sqlite_where=PENDING,
    postgresql_where=PENDING,
)
Index(
    "ix_event_deliveries_dead",
    event_deliveries.c.subscription_id,
    event_deliveries.c.number,
    sqlite_where=DEAD,
    postgresql_where=DEAD,
)

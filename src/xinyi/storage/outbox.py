"""The outbox: what is to be told to partners, written in the transaction of what it tells.

So an event exists exactly when its cause was committed. The room ``events`` takes the rows from here, in their order,
and delivers them; here they wait for a moment only.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import BigInteger, Column, Identity, Integer, String, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.ids import new_id
from .rights import SHRINKING
from .sql import insert_rows
from .types import Json, UtcDateTime, metadata

outbox = Table(
    "outbox",
    metadata,
    # numbered when the row is written: two events of one consent, whose row is locked, are in their order
    Column("place", BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True),
    Column("id", String(32), nullable=False),
    Column("type", String(64), nullable=False),
    Column("partner_id", String(40), nullable=False),
    Column("data", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
    info=SHRINKING,
)


class NewEvent(Struct, frozen=True):
    """Something that happened and that the partner is told: ``type`` such as ``consent.withdrawn``.

    ``data`` is JSON of what the partner may see anyway; never anything that depends on a record.
    """

    type: str
    partner_id: str
    data: dict[str, object]


async def put(tx: AsyncConnection, events: Sequence[NewEvent], at: datetime) -> None:
    """Writes the events, which happened ``at`` this moment, in the caller's transaction and in this order."""
    rows = [(new_id("evt", at), event.type, event.partner_id, event.data, at) for event in events]
    await insert_rows(tx, outbox, rows)

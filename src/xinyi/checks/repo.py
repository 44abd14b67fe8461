"""The queries about checks."""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .tables import checks


class CheckRow(Struct, frozen=True, kw_only=True):
    """One row of the table ``checks``."""

    id: str
    partner_id: str
    client_id: str
    subject_id: str | None
    consent_id: str
    scenario_id: str
    scenario_version: int | None
    reference: str
    outcome: str | None
    refusal: str | None
    body: str | None
    created_at: datetime


async def add(tx: AsyncConnection, rows: Sequence[CheckRow]) -> None:
    if rows:
        await tx.execute(insert(checks), [asdict(row) for row in rows])


async def find(tx: AsyncConnection, ids: Collection[str]) -> dict[str, CheckRow]:
    """The checks with these ids, whoever made them."""
    if not ids:
        return {}
    rows = await tx.execute(select(checks).where(checks.c.id.in_(ids)))
    return {row.id: CheckRow(**row._mapping) for row in rows}

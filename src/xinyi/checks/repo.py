"""The queries about checks."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..storage.sql import Prepared, insert_rows, one_of
from ..storage.types import UtcDateTime
from .tables import checks


class CheckRow(Struct, frozen=True):
    """One row of the table ``checks``: its columns, in their order."""

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
    await insert_rows(tx, checks, [astuple(row) for row in rows])


_rows: Final = select(*(checks.c[name] for name in CheckRow.__struct_fields__))
_find: Final = Prepared(lambda dialect: _rows.where(one_of(dialect, checks.c.id, "ids")))


async def find(tx: AsyncConnection, ids: Collection[str]) -> dict[str, CheckRow]:
    """The checks with these ids, whoever made them."""
    if not ids:
        return {}
    return {row[0]: CheckRow(*row) for row in await _find.fetch(tx, ids=ids)}


async def of_subject(
    tx: AsyncConnection, subject_id: str, *, limit: int, before: str | None = None, after: str | None = None
) -> list[CheckRow]:
    """The checks about a subject, newest first: those before and after these ids, where they are named."""
    query = _rows.where(checks.c.subject_id == subject_id)
    if before is not None:
        query = query.where(checks.c.id < before)
    if after is not None:
        query = query.where(checks.c.id > after)
    return [CheckRow(*row) for row in await tx.execute(query.order_by(checks.c.id.desc()).limit(limit))]


async def last_uses(tx: AsyncConnection, subject_id: str) -> dict[str, datetime]:
    """When each of a subject's consents was last used for an answer, by the consent's id."""
    query = (
        select(checks.c.consent_id, func.max(checks.c.created_at, type_=UtcDateTime))
        .where(checks.c.subject_id == subject_id, checks.c.outcome.is_not(None))
        .group_by(checks.c.consent_id)
    )
    return {row[0]: row[1] for row in await tx.execute(query)}

"""The queries about checks."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..storage.sql import Prepared, insert_rows, one_of
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


_find: Final = Prepared(
    lambda dialect: select(*(checks.c[name] for name in CheckRow.__struct_fields__)).where(
        one_of(dialect, checks.c.id, "ids")
    )
)


async def find(tx: AsyncConnection, ids: Collection[str]) -> dict[str, CheckRow]:
    """The checks with these ids, whoever made them."""
    if not ids:
        return {}
    return {row[0]: CheckRow(*row) for row in await _find.fetch(tx, ids=ids)}

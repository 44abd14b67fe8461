"""The queries about usage. Checks are counted by ranges of their ids, which are ordered by the moment of the check."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..checks.tables import checks
from ..kernel.ids import first_id
from ..storage.sql import insert_ignoring
from .model import EVERYBODY, DayCount, Price, day_of
from .tables import scenario_prices, usage_days, usage_mark


async def mark(tx: AsyncConnection) -> datetime | None:
    """Up to which moment checks are counted; None when none was ever counted."""
    found: datetime | None = (await tx.execute(select(usage_mark.c.until))).scalar_one_or_none()
    return found


async def set_mark(tx: AsyncConnection, until: datetime) -> None:
    if not (await tx.execute(insert_ignoring(tx, usage_mark, ["slot"]).values(slot=1, until=until))).rowcount:
        await tx.execute(update(usage_mark).values(until=until))


async def oldest(tx: AsyncConnection) -> datetime | None:
    """The moment of the oldest check."""
    found = select(checks.c.created_at).order_by(checks.c.id).limit(1)
    moment: datetime | None = (await tx.execute(found)).scalar_one_or_none()
    return moment


async def counted(
    tx: AsyncConnection, since: datetime, until: datetime | None, partner_id: str | None = None
) -> list[DayCount]:
    """The checks from one moment on to another, which lie on the same day; of all partners or of one."""
    wanted = select(
        checks.c.partner_id, checks.c.scenario_id, func.count(checks.c.outcome), func.count(checks.c.refusal)
    ).where(checks.c.id >= first_id("chk", since))
    if until is not None:
        wanted = wanted.where(checks.c.id < first_id("chk", until))
    if partner_id is not None:
        wanted = wanted.where(checks.c.partner_id == partner_id)
    rows = await tx.execute(wanted.group_by(checks.c.partner_id, checks.c.scenario_id))
    day = day_of(since)
    return [DayCount(partner, day, scenario, answered, refused) for partner, scenario, answered, refused in rows]


async def add(tx: AsyncConnection, counts: Iterable[DayCount]) -> None:
    """Adds to the stored counts. The caller is the only one who does so now."""
    days = usage_days.c
    for count in counts:
        row = msgspec.structs.asdict(count)
        added = await tx.execute(insert_ignoring(tx, usage_days, ["partner_id", "day", "scenario_id"]).values(row))
        if not added.rowcount:
            await tx.execute(
                update(usage_days)
                .where(
                    days.partner_id == count.partner_id,
                    days.day == count.day,
                    days.scenario_id == count.scenario_id,
                )
                .values(answered=days.answered + count.answered, refused=days.refused + count.refused)
            )


async def stored(tx: AsyncConnection, first: date, last: date, partner_id: str | None = None) -> list[DayCount]:
    """The stored counts of these days."""
    wanted = select(usage_days).where(usage_days.c.day >= first, usage_days.c.day <= last)
    if partner_id is not None:
        wanted = wanted.where(usage_days.c.partner_id == partner_id)
    return [DayCount(*row) for row in _plain(await tx.execute(wanted))]


async def prices(tx: AsyncConnection, partner_id: str | None = None) -> list[Price]:
    """All prices, or those that one partner pays."""
    column = scenario_prices.c
    wanted = select(scenario_prices).order_by(column.scenario_id, column.partner_id, column.since)
    if partner_id is not None:
        wanted = wanted.where(or_(column.partner_id == partner_id, column.partner_id == EVERYBODY))
    return [Price(*row) for row in _plain(await tx.execute(wanted))]


async def set_price(tx: AsyncConnection, price: Price) -> None:
    """Stores a price; one that was set for the same day is replaced."""
    column = scenario_prices.c
    row = msgspec.structs.asdict(price)
    keys = ["scenario_id", "partner_id", "since"]
    if not (await tx.execute(insert_ignoring(tx, scenario_prices, keys).values(row))).rowcount:
        await tx.execute(
            update(scenario_prices).where(*(getattr(column, key) == row[key] for key in keys)).values(units=price.units)
        )


def _plain(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in rows]

"""The outbox: what is told is written with what it tells, or not at all."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from xinyi.storage.database import Database
from xinyi.storage.outbox import NewEvent, outbox, put

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


async def told(database: Database) -> list[tuple[str, str, object]]:
    async with database.read() as tx:
        rows = await tx.execute(select(outbox.c.type, outbox.c.partner_id, outbox.c.data).order_by(outbox.c.place))
        return [(row.type, row.partner_id, row.data) for row in rows]


async def test_events_stay_in_the_order_in_which_they_were_written(database: Database):
    for number in range(3):
        async with database.transaction() as tx:
            await put(tx, [NewEvent(f"{number}.{part}", "prt_a", {"n": number}) for part in "ab"], AT)
    assert await told(database) == [
        (f"{number}.{part}", "prt_a", {"n": number}) for number in range(3) for part in "ab"
    ]


async def test_what_is_rolled_back_is_not_told(database: Database):
    async def roll_back() -> None:
        async with database.transaction() as tx:
            await put(tx, [NewEvent("consent.withdrawn", "prt_a", {})], AT)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await roll_back()
    assert await told(database) == []


async def test_each_event_has_an_id_of_its_own(database: Database):
    async with database.transaction() as tx:
        await put(tx, [NewEvent("consent.paused", "prt_a", {})] * 2, AT)
    async with database.read() as tx:
        ids = (await tx.execute(select(outbox.c.id))).scalars().all()
    assert len(set(ids)) == 2
    assert all(each.startswith("evt_") for each in ids)

"""What an installation has kept of what it acknowledged."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.batches import tally
from xinyi.checks.tables import checks
from xinyi.events.tables import events
from xinyi.settings import Settings
from xinyi.storage.outbox import outbox
from xinyi.wiring import Services


async def missing_checks(settings: Settings, acknowledged: Mapping[str, bytes]) -> int:
    """How many answers aren't there as they were given, by reference; and whatever is there was counted once."""
    services = Services.build(settings)
    by_id = {msgspec.json.decode(body)["data"]["id"]: body for body in acknowledged.values()}
    async with services.opened():
        async with services.database.read() as tx:
            rows = await tx.execute(select(checks.c.id, checks.c.body).where(checks.c.body.is_not(None)))
            found = {check_id: body.encode() for check_id, body in rows}
        stored, used, leaves = await tally(services)
    assert stored == used == leaves, "answers, uses and leaves are as many"
    assert len(by_id) == len(acknowledged), "each reference was answered by a check of its own"
    return sum(found.get(check_id) != body for check_id, body in by_id.items())


async def told_to_partners(tx: AsyncConnection) -> list[tuple[str, object]]:
    """The type and data of every event, in order: those that the relay has numbered, then those that wait for it.

    In one statement, so that none moves from the one to the other in between.
    """
    numbered = select(events.c.type, events.c.data, literal(0).label("waits"), events.c.number.label("place"))
    waiting = select(outbox.c.type, outbox.c.data, literal(1).label("waits"), outbox.c.place)
    rows = await tx.execute(union_all(numbered, waiting).order_by("waits", "place"))
    return [(row.type, row.data) for row in rows]

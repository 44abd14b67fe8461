"""Every connection to the database is busy: callers are told when to come back, and health answers."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy import select

from tests.faults.conftest import Own
from tests.support.clock import ManualClock
from tests.support.fleet import calling, worker
from tests.support.world import new_world
from xinyi.ledger.tables import ledger_head
from xinyi.sandbox import identities

SCENARIO = "library-lending"
POOL = 2
LATECOMERS = 8
AT_ONCE = 1.0
"""Seconds within which health answers, whatever others wait for."""


async def test_when_every_connection_is_busy_callers_are_told_to_come_back(
    own: Own, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    async with new_world(tmp_path, own.pair, ManualClock(datetime.now(UTC))) as world:
        client = await world.client(SCENARIO, kind="library")
        people = [await world.subject(identities.person(1, date(1990, 5, 1), n)) for n in range(POOL)]
        consents = [await world.consent(client, SCENARIO, person) for person in people]
        with worker(tmp_path, own.pair, database_pool=str(POOL)) as server:
            async with calling(client, world.private_keys[client.id], server) as (partner,):
                async with world.services.database.transaction() as tx:
                    await tx.execute(select(ledger_head).with_for_update())
                    # Each holds a connection and waits for the head of the ledger.
                    held = [asyncio.create_task(partner.withdraw(consent.id)) for consent in consents]
                    while (await partner.http.get("/health/ready")).status_code == 200:
                        assert not any(task.done() for task in held)
                    late = [asyncio.create_task(partner.consent(consents[0].id)) for _ in range(LATECOMERS)]
                    late += [asyncio.create_task(partner.check(consents[0].id, SCENARIO, "CASE-1"))]
                    await asyncio.sleep(0)
                    begin = time.monotonic()
                    live = await partner.http.get("/health/live")
                    took = time.monotonic() - begin
                    assert not any(task.done() for task in held + late), "all of them still wait"
                    told = await asyncio.gather(*late)
                finished = await asyncio.gather(*held)
                assert (await partner.consent(consents[0].id)).json()["data"]["state"] == "withdrawn"
        assert server.log == []

    assert (live.status_code, took <= AT_ONCE) == (200, True)
    assert {(each.status_code, each.headers["retry-after"]) for each in told} == {(503, "1")}
    assert {json.loads(each.content)["code"] for each in told} == {"unavailable"}
    assert [each.status_code for each in finished] == [200] * POOL, "what was under way finished"
    tell(f"faults: pool exhausted: {len(told)} told to come back, health answered in {took * 1000:.0f} ms")

"""Events for those who ask: in order, each once, and none appears behind a reader."""

import asyncio
from datetime import timedelta
from pathlib import Path

from tests.support.events import PARTNER, Told, telling
from tests.support.pairs import Pair
from xinyi.events.model import EventType
from xinyi.events.relay import Relay
from xinyi.storage.outbox import NewEvent, put


async def types(told: Told, after: int | None, limit: int = 100, *only: EventType) -> tuple[list[str], int]:
    found, last = await told.events.after(PARTNER, after, only, limit)
    return [each.event.type for each in found], last


async def test_a_reader_goes_on_where_it_was(told: Told):
    assert await types(told, None) == ([], 0)
    await told.happens("consent.authorised", "consent.paused", "consent.resumed")
    await told.tell()
    assert await types(told, None, 2) == (["consent.authorised", "consent.paused"], 2)
    assert await types(told, 2, 2) == (["consent.resumed"], 3)
    assert await types(told, 3) == ([], 3)
    await told.happens("consent.withdrawn", partner="prt_b")
    await told.happens("consent.withdrawn")
    await told.tell()
    assert await types(told, 3) == (["consent.withdrawn"], 4)


async def test_a_reader_of_some_types_skips_the_others(told: Told):
    await told.happens("consent.paused", "consent.resumed", "consent.paused", "consent.resumed")
    await told.tell()
    assert await types(told, None, 10, EventType.CONSENT_PAUSED) == (["consent.paused"] * 2, 4)
    assert await types(told, 4, 10, EventType.CONSENT_PAUSED) == ([], 4)


async def test_what_commits_late_gets_a_later_number(told: Told):
    """A transaction that was open while others committed is told behind them, never before."""
    database = told.world.services.database
    if not database.is_sqlite:  # which has one writer
        async with database.transaction() as late:
            await put(late, [NewEvent("consent.paused", PARTNER, {})], told.clock.now())
            await told.happens("consent.authorised")
            await told.tell()
            assert await types(told, None) == (["consent.authorised"], 1)
    else:
        await told.happens("consent.authorised", "consent.paused")
    await told.tell()
    assert await types(told, None) == (["consent.authorised", "consent.paused"], 2)


async def test_several_relays_number_each_event_once(told: Told):
    services = told.world.services
    await told.happens(*["consent.authorised"] * 60)
    await asyncio.gather(*(Relay(services.database, services.clock).run() for _ in range(4)))
    found, last = await told.events.after(PARTNER, None, [], 100)
    assert [each.number for each in found] == list(range(1, 61))
    assert (len({each.event.id for each in found}), last) == (60, 60)


async def test_old_events_are_forgotten_and_the_numbers_go_on(pair: Pair, tmp_path: Path):
    async with telling(tmp_path, pair, event_days=2) as told:
        told.receiver.status = lambda: 500
        subscription = await told.subscribe()
        await told.happens("consent.authorised")
        await told.tell()
        told.clock.advance(timedelta(days=2, minutes=1))
        await told.happens("consent.withdrawn")
        await told.tell()
        assert await types(told, None) == (["consent.withdrawn"], 2)
        assert [each.number for each in await told.deliveries(subscription)] == [2]

"""What time does to consents is written down once, told, and put into the ledger; nothing waits for it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from sqlalchemy import select

from tests.support.pairs import Pair
from tests.support.world import Subject, World, ask
from xinyi.consents.model import Consent, ConsentState, EndReason, Party
from xinyi.events.tables import events
from xinyi.ledger.tables import ledger_entries
from xinyi.partners.model import Client
from xinyi.wiring import Services

pytestmark = pytest.mark.anyio
SCENARIO, ONCE = "bike-deposit", "home-rental-deposit"


@pytest.fixture
async def client(world: World) -> Client:
    return await world.client(SCENARIO, ONCE)


@pytest.fixture
async def subject(world: World) -> Subject:
    return await world.subject()


async def told(world: World) -> list[tuple[str, dict[str, Any]]]:
    """What partners were told, in order."""
    await world.services.event_worker.drain()
    async with world.services.database.read() as tx:
        rows = await tx.execute(select(events.c.type, events.c.data).order_by(events.c.number))
        return [(type_.removeprefix("consent."), data) for type_, data in rows]


async def leaves(world: World) -> list[dict[str, Any]]:
    async with world.services.database.read() as tx:
        bodies = (await tx.execute(select(ledger_entries.c.body).order_by(ledger_entries.c.leaf_index))).scalars()
        return [msgspec.json.decode(body) for body in bodies]


async def stored(world: World, consent_id: str) -> Consent:
    async with world.services.database.read() as tx:
        return await world.services.consents.find(tx, consent_id)


async def sweep(world: World) -> int:
    return await world.services.consent_sweep.run()


async def test_what_nobody_answered_expires_and_says_so(world: World, client: Client) -> None:
    asked = await world.asked(client, SCENARIO)
    world.clock.advance(timedelta(minutes=59, seconds=59))
    assert await sweep(world) == 0
    world.clock.advance(timedelta(minutes=5))
    assert await sweep(world) == 1
    ended = await stored(world, asked.id)
    assert (ended.ended_as, ended.ended_by, ended.end_reason) == (
        ConsentState.EXPIRED,
        Party.TIME,
        EndReason.UNANSWERED,
    )
    assert ended.ended_at == asked.request_expires_at, "not when it was swept"
    ((type_, data),) = await told(world)
    assert (type_, data["state"], data["reason"], data["ended_by"]) == ("expired", "expired", "unanswered", "time")
    assert [leaf["event"] for leaf in await leaves(world)] == ["requested", "expired"]
    assert await sweep(world) == 0, "once"


async def test_an_end_is_told_ahead_and_when_it_comes(world: World, client: Client, subject: Subject) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    world.clock.advance(timedelta(days=358))
    await sweep(world)
    assert (await told(world))[-1][0] == "expiring"
    await sweep(world)
    world.clock.advance(timedelta(days=7))
    await sweep(world)
    happened = await told(world)
    assert [type_ for type_, _ in happened][-2:] == ["expiring", "expired"]
    assert happened[-1][1]["reason"] == "term_reached"
    assert [leaf["event"] for leaf in await leaves(world)] == ["requested", "authorised", "expired"]
    assert (await stored(world, consent.id)).ended_at == consent.expires_at


async def test_of_a_short_consent_half_of_the_time_is_left_when_it_is_told(
    world: World, client: Client, subject: Subject
) -> None:
    await world.consent(client, ONCE, subject)  # a week
    world.clock.advance(timedelta(hours=83))
    await sweep(world)
    assert len(await told(world)) == 1
    world.clock.advance(timedelta(hours=1))
    await sweep(world)
    assert [type_ for type_, _ in await told(world)] == ["authorised", "expiring"]


async def test_what_ended_before_its_time_is_left_alone(world: World, client: Client, subject: Subject) -> None:
    used = await world.consent(client, ONCE, subject)
    await world.check(ask(client, used))
    gone = await world.consent(client, SCENARIO, subject)
    await world.services.consents.withdraw(gone.id, Party.SUBJECT, subject.id)
    before = [await stored(world, each.id) for each in (used, gone)]
    world.clock.advance(timedelta(days=400))
    await sweep(world)
    assert [await stored(world, each.id) for each in (used, gone)] == before
    assert "expired" not in [type_ for type_, _ in await told(world)]
    assert await sweep(world) == 0


async def test_an_extension_that_nobody_answers_lapses(world: World, client: Client, subject: Subject) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    assert client.partner_id is not None
    world.clock.advance(timedelta(days=300))
    await world.services.extensions.request(consent.id, partner_id=client.partner_id, client_id=client.id, days=None)
    world.clock.advance(timedelta(days=7))
    await sweep(world)
    type_, data = (await told(world))[-1]
    assert (type_, data["state"], data["reason"]) == ("extension_rejected", "authorised", None)
    assert (data["extension"]["decision"], data["extension"]["decided_by"]) == ("lapsed", "time")
    leaf = (await leaves(world))[-1]
    assert (leaf["event"], leaf["extension"]["decision"]) == ("extension_rejected", "lapsed")


async def test_an_extended_consent_is_told_ahead_anew(world: World, client: Client, subject: Subject) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    assert client.partner_id is not None
    world.clock.advance(timedelta(days=360))
    await sweep(world)
    extension = await world.services.extensions.request(
        consent.id, partner_id=client.partner_id, client_id=client.id, days=30
    )
    await world.services.extensions.grant(consent.id, extension.id, subject.id)
    world.clock.advance(timedelta(days=23))
    await sweep(world)
    assert [type_ for type_, _ in await told(world)][-4:] == [
        "expiring",
        "extension_requested",
        "extended",
        "expiring",
    ]


async def test_two_workers_do_each_once(world: World, client: Client, pair: Pair, tmp_path: Path) -> None:
    for _ in range(150):
        await world.asked(client, SCENARIO)
    world.clock.advance(timedelta(hours=2))
    second = Services.build(pair.settings(tmp_path), world.clock)
    async with second.opened(), anyio.create_task_group() as both:
        both.start_soon(world.services.consent_sweep.run)
        both.start_soon(second.consent_sweep.run)
    found = [leaf["id"] for leaf in await leaves(world) if leaf["event"] == "expired"]
    assert len(found) == len(set(found)) == 150
    assert len(await told(world)) == 150


async def test_a_server_sweeps_by_itself(world: World, client: Client, pair: Pair, tmp_path: Path) -> None:
    asked = await world.asked(client, SCENARIO)
    world.clock.advance(timedelta(hours=2))
    server = Services.build(pair.settings(tmp_path, sweep_seconds=3600), world.clock)
    with anyio.fail_after(10):
        async with server.opened():
            server.consent_sweep.start()
            ended = None
            while ended is None:
                await anyio.sleep(0.01)
                ended = (await stored(world, asked.id)).ended_as
            await server.consent_sweep.stop()

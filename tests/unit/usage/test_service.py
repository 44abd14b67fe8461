"""Metering: each check once, on its day in China, at that day's price."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support.clock import ManualClock
from tests.support.pairs import Pair
from tests.support.world import World, ask, new_world
from xinyi.checks.tables import checks
from xinyi.consents.model import Consent
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.ids import new_id
from xinyi.partners.model import Client
from xinyi.usage.model import EVERYBODY, Period, Price, days_between, units_of, yuan
from xinyi.usage.service import GRACE

BIKE, LIBRARY = "bike-deposit", "library-lending"
NOVEMBER = (date(2026, 11, 1), date(2026, 11, 30))


@pytest.fixture
async def world(pair: Pair, tmp_path: Path) -> AsyncIterator[World]:
    """Begins two hours before midnight in China."""
    async with new_world(tmp_path, pair, ManualClock(datetime(2026, 11, 2, 14, 0, tzinfo=UTC))) as world:
        await world.services.usage_worker.stop()
        yield world


async def used(world: World, by: Period = Period.DAY, partner_id: str | None = None) -> list[tuple[str, str, int, int]]:
    found = await world.services.usage.usage(*NOVEMBER, by, partner_id=partner_id)
    return [(each.period, each.scenario_id, each.answered, each.refused) for each in found]


async def bike_and_library(world: World) -> tuple[Client, Consent, Consent]:
    client, person = await world.client(BIKE, LIBRARY, kind="bike-share"), await world.subject()
    return client, await world.consent(client, BIKE, person), await world.consent(client, LIBRARY, person)


async def test_answers_and_refusals_are_counted_at_once_and_stay_counted(world: World):
    client, bike, library = await bike_and_library(world)
    for consent in (bike, bike, library):
        await world.check(ask(client, consent))
    await world.check(ask(client, bike, scenario=LIBRARY))  # the consent is for another scenario
    expected = [("2026-11-02", BIKE, 2, 0), ("2026-11-02", LIBRARY, 1, 1)]
    assert await used(world) == expected
    world.clock.advance(timedelta(hours=1))
    await world.services.usage.roll_up()
    await world.services.usage.roll_up()
    assert await used(world) == expected


async def test_a_repetition_counts_once(world: World):
    client, bike, _ = await bike_and_library(world)
    for _ in range(3):
        await world.check(ask(client, bike, key="key-1"))
    assert await used(world) == [("2026-11-02", BIKE, 1, 0)]


async def test_days_end_at_midnight_in_china(world: World):
    client, bike, _ = await bike_and_library(world)
    for minutes in (119, 1, 1):  # 23:59, 0:00 and 0:01
        world.clock.advance(timedelta(minutes=minutes))
        await world.check(ask(client, bike))
    expected = [("2026-11-02", BIKE, 1, 0), ("2026-11-03", BIKE, 2, 0)]
    assert await used(world) == expected
    world.clock.advance(timedelta(hours=3))
    await world.services.usage.roll_up()
    assert await used(world) == expected
    assert await used(world, Period.MONTH) == [("2026-11", BIKE, 3, 0)]


async def test_whenever_it_is_rolled_up_each_check_counts_once(world: World):
    client, bike, _ = await bike_and_library(world)
    for minute in range(30):
        await world.check(ask(client, bike))
        world.clock.advance(timedelta(seconds=50))
        if minute % 3 == 0:
            await world.services.usage.roll_up()
        assert await used(world) == [("2026-11-02", BIKE, minute + 1, 0)]


async def test_what_is_stored_late_is_counted_as_well(world: World):
    """A check whose transaction took long is stored when others that are younger have been counted."""
    client, bike, _ = await bike_and_library(world)
    database = world.services.database
    late = datetime(2026, 11, 2, 14, 0, 1, tzinfo=UTC)
    await world.check(ask(client, bike))
    world.clock.advance(GRACE - timedelta(seconds=30))
    await world.services.usage.roll_up()
    async with database.transaction() as tx:
        row = dict((await tx.execute(select(checks))).mappings().one())
        row |= {"id": new_id("chk", late), "created_at": late}
        await tx.execute(checks.insert(), row)
    world.clock.advance(timedelta(hours=1))
    await world.services.usage.roll_up()
    assert await used(world) == [("2026-11-02", BIKE, 2, 0)]


async def test_a_partner_sees_its_own(world: World):
    client, bike, _ = await bike_and_library(world)
    other, theirs, _ = await bike_and_library(world)
    await world.check(ask(client, bike))
    await world.check(ask(other, theirs))
    await world.check(ask(other, theirs))
    assert await used(world, partner_id=client.partner_id) == [("2026-11-02", BIKE, 1, 0)]
    assert await used(world, partner_id=other.partner_id) == [("2026-11-02", BIKE, 2, 0)]


async def test_it_costs_nothing_unless_a_price_is_set_and_then_by_that_days_price(world: World):
    client, bike, library = await bike_and_library(world)
    other, theirs, _ = await bike_and_library(world)
    usage = world.services.usage
    assert client.partner_id is not None
    async with world.services.database.transaction() as tx:
        await usage.set_price(tx, Price(BIKE, EVERYBODY, date(2026, 11, 2), units_of("0.05")))
        await usage.set_price(tx, Price(BIKE, EVERYBODY, date(2026, 11, 3), units_of("0.2")))
        await usage.set_price(tx, Price(BIKE, EVERYBODY, date(2026, 11, 3), units_of("0.1")))
        await usage.set_price(tx, Price(BIKE, client.partner_id, date(2026, 11, 3), units_of("0.0333")))
    for _ in range(2):
        for each, consent in ((client, bike), (client, library), (other, theirs)):
            await world.check(ask(each, consent))
        await world.check(ask(client, library, scenario=BIKE))  # a refusal
        world.clock.advance(timedelta(hours=4))

    async def amounts(partner_id: str | None) -> list[tuple[str, str, str]]:
        found = await usage.usage(*NOVEMBER, Period.DAY, partner_id=partner_id)
        return [(each.period, each.scenario_id, each.amount) for each in found]

    assert await amounts(client.partner_id) == [
        ("2026-11-02", BIKE, "0.0500"),
        ("2026-11-02", LIBRARY, "0.0000"),
        ("2026-11-03", BIKE, "0.0333"),
        ("2026-11-03", LIBRARY, "0.0000"),
    ]
    assert await amounts(other.partner_id) == [("2026-11-02", BIKE, "0.0500"), ("2026-11-03", BIKE, "0.1000")]
    async with world.services.database.transaction() as tx:
        with pytest.raises(XinyiError, check=lambda error: error.code is Code.INVALID):
            await usage.set_price(tx, Price(BIKE, EVERYBODY, date(2026, 11, 2), 1))  # that day is over


@pytest.mark.parametrize("days", [(date(2026, 11, 2), date(2026, 11, 1)), (date(2025, 11, 1), date(2026, 11, 2))])
async def test_days_that_make_no_sense_are_refused(world: World, days: tuple[date, date]):
    with pytest.raises(XinyiError, check=lambda error: error.code is Code.INVALID):
        await world.services.usage.usage(*days, Period.DAY)


@pytest.mark.parametrize(
    ("text", "units", "shown"), [("0", 0, "0.0000"), ("0.05", 500, "0.0500"), ("12", 120000, "12.0000")]
)
def test_prices_are_exact(text: str, units: int, shown: str):
    assert units_of(text) == units
    assert yuan(units) == shown


@pytest.mark.parametrize("text", ["", "-1", "0.00001", "NaN", "Infinity", "10001", "1,5"])
def test_other_prices_are_refused(text: str):
    with pytest.raises(ValueError, match="a price"):
        units_of(text)


def test_a_stretch_of_time_falls_into_days():
    since, until = datetime(2026, 11, 2, 15, 30, tzinfo=UTC), datetime(2026, 11, 3, 17, 0, tzinfo=UTC)
    parts = list(days_between(since, until))
    assert [part[0] for part in parts] == [date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 4)]
    assert parts[0][1] == since
    assert parts[-1][2] == until
    assert all(before[2] == after[1] for before, after in itertools.pairwise(parts))

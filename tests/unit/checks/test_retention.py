"""What is due goes to the moment, a part at a time, and what isn't due yet isn't read for it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select

from tests.support.world import PERSON, World, ask
from xinyi.checks import retention
from xinyi.checks.tables import checks
from xinyi.consents.model import Consent, Party
from xinyi.consents.tables import consents
from xinyi.partners.model import Client
from xinyi.storage.kept import AUDIT_KEPT

INSTANT = timedelta(microseconds=1)
BY_TIME = re.compile(r"(created_at|finished_at|coalesce\(.*\)) <")
BY_KEY = re.compile(r"\bid<\?|Index Cond: .*\(id\)::text <")
"""How SQLite and PostgreSQL say that they read a range of the primary key."""


@pytest.fixture
async def bike(world: World) -> Client:
    return await world.client("bike-deposit", kind="bike-share")


@pytest.fixture
async def consent(world: World, bike: Client) -> Consent:
    return await world.consent(bike, "bike-deposit", await world.subject(PERSON))


async def left(world: World) -> tuple[int, int, int]:
    """The checks that are there, those that still say what was answered, and the consents."""
    counts = select(func.count(checks.c.id), func.count(checks.c.body))
    async with world.services.database.read() as tx:
        made, told = (await tx.execute(counts)).one()
        return made, told, (await tx.execute(select(func.count()).select_from(consents))).scalar_one()


@pytest.mark.parametrize("fraction", [timedelta(), timedelta(microseconds=999_400)])
async def test_a_check_goes_at_its_moment(world: World, bike: Client, consent: Consent, fraction: timedelta) -> None:
    world.clock.advance(fraction)
    made = world.clock.now()
    await world.check(ask(bike, consent))
    for kept, is_due, then in (
        (timedelta(days=world.services.scenarios.get("bike-deposit").retention_days), INSTANT, (1, 0, 1)),
        (AUDIT_KEPT + INSTANT, INSTANT, (0, 0, 1)),
    ):
        before = await left(world)
        world.clock.advance(made + kept - is_due - world.clock.now())
        await world.services.retention.sweep()
        assert await left(world) == before
        world.clock.advance(is_due)
        await world.services.retention.sweep()
        assert await left(world) == then


async def test_a_consent_goes_at_its_moment(world: World, bike: Client) -> None:
    world.clock.advance(timedelta(seconds=0.7))  # its id is of that moment, its times are whole seconds
    asked = await world.asked(bike, "bike-deposit")
    world.clock.advance(asked.request_expires_at + AUDIT_KEPT - world.clock.now())
    await world.services.retention.sweep()
    assert (await left(world))[2] == 1
    world.clock.advance(INSTANT)
    await world.services.retention.sweep()
    assert (await left(world))[2] == 0


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_answers_are_erased_a_part_at_a_time(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch, withdrawn: bool
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    for number in range(5):
        await world.check(ask(bike, consent, reference=f"CASE-{number}"))
    if withdrawn:
        assert consent.subject_id is not None
        await world.services.consents.withdraw(consent.id, Party.SUBJECT, consent.subject_id)
    else:
        world.clock.advance(timedelta(days=world.services.scenarios.get("bike-deposit").retention_days))
    parts: list[int] = []
    erase = world.services.ledger.erase

    async def counted(tx: Any, entry_ids: list[str], at: Any) -> int:
        parts.append(len(entry_ids))
        return await erase(tx, entry_ids, at)

    monkeypatch.setattr(world.services.ledger, "erase", counted)
    assert (await world.services.retention.sweep()).erased == 5
    assert parts == [2, 2, 1]
    assert await left(world) == (5, 0, 1)


async def test_what_is_not_due_yet_is_not_read(world: World, bike: Client, consent: Consent) -> None:
    await world.check(ask(bike, consent))
    engine, sent = world.services.database._engine.sync_engine, list[tuple[str, Any]]()

    def by_core(_c: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if BY_TIME.search(statement) and "idempotency_keys" not in statement:  # whose key says nothing of the time
            sent.append((statement, values))

    event.listen(engine, "before_cursor_execute", by_core)
    await world.services.retention.sweep()
    await world.services.imports.sweep()
    event.remove(engine, "before_cursor_execute", by_core)
    explain = "EXPLAIN QUERY PLAN" if world.services.database.is_sqlite else "EXPLAIN"
    async with world.services.database.read() as tx:
        for statement, values in sent:
            plan = [str(line) for line in await tx.exec_driver_sql(f"{explain} {statement}", values)]
            assert any(BY_KEY.search(line) for line in plan), (statement, plan)
    assert len(sent) == 8

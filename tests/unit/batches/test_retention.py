"""A batch is kept as long as any of its answers is given again, and then it is as one that was never there."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.support.batches import finish, question, results, submit
from tests.support.world import PERSON, World
from xinyi.batches import repo, service
from xinyi.batches.model import LEAST_KEPT, CheckBatch, CheckBatchState
from xinyi.batches.tables import check_batch_items, check_batch_results, check_batches
from xinyi.checks.tables import checks
from xinyi.consents.model import Consent
from xinyi.kernel.errors import Code, XinyiError
from xinyi.partners.model import Client
from xinyi.storage.kept import GRACE

SECOND = timedelta(seconds=1)
TABLES = (check_batches, check_batch_items, check_batch_results)


@pytest.fixture
async def bike(world: World) -> Client:
    return await world.client("bike-deposit", kind="bike-share")


@pytest.fixture
async def consent(world: World, bike: Client) -> Consent:
    return await world.consent(bike, "bike-deposit", await world.subject(PERSON))


async def rows(world: World) -> list[int]:
    async with world.services.database.read() as tx:
        return [(await tx.execute(select(func.count()).select_from(table))).scalar_one() for table in TABLES]


async def is_there(world: World, batch: CheckBatch) -> bool:
    try:
        await results(world.services, batch)
        await world.services.batches.get(batch.id, partner_id=batch.partner_id, consent_id=None)
    except XinyiError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return False
    return True


def days_of(world: World, scenario: str) -> timedelta:
    return timedelta(days=world.services.scenarios.get(scenario).retention_days)


async def test_a_batch_goes_when_none_of_its_answers_is_given_again_and_its_checks_stay_in_the_log(
    world: World, bike: Client, consent: Consent
) -> None:
    batch = await submit(world.services, bike, [question(consent, f"CASE-{n}") for n in range(3)])
    world.clock.advance(timedelta(days=400))
    await world.services.batches.sweep()
    assert await is_there(world, batch), "it waits for its turn, however long that takes"
    await finish(world.services.batches)

    world.clock.advance(days_of(world, "bike-deposit") - SECOND)
    assert await is_there(world, batch)
    world.clock.advance(SECOND)
    assert not await is_there(world, batch), "whether or not the sweep has been here"
    assert await world.services.batches.sweep() == 0, "whoever reads it now may end"
    world.clock.advance(GRACE)
    assert await world.services.batches.sweep() == 1 + 3 + 3
    assert await rows(world) == [0, 0, 0]
    async with world.services.database.read() as tx:
        assert len((await tx.execute(select(checks.c.id))).all()) == 3
    assert await world.services.batches.sweep() == 0


async def test_the_longest_of_its_scenarios_counts_and_there_is_a_least(
    world: World, bike: Client, consent: Consent
) -> None:
    asked = {
        "both": [question(consent), question("cns_x", scenario="microloan-prescreen")],
        "short": [question("cns_x", scenario="scenic-ticket")],
        "none": [question("cns_x", scenario="no-such-scenario")],
    }
    batches = {key: await submit(world.services, bike, each, key=key) for key, each in asked.items()}
    await finish(world.services.batches)
    finished_at = world.clock.now()
    for after, kept in (
        (timedelta(days=LEAST_KEPT), ["both"]),
        (days_of(world, "bike-deposit"), ["both"]),
        (days_of(world, "microloan-prescreen"), []),
    ):
        world.clock.advance(finished_at + after - world.clock.now())
        assert [key for key, batch in batches.items() if await is_there(world, batch)] == kept


async def test_an_upload_that_never_became_whole_goes_as_well(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHUNK", 2)
    receive = repo.receive

    async def once(tx: Any, batch: Any, items: Any) -> bool:
        if items[0].number > 1:
            raise XinyiError(Code.UNAVAILABLE)
        return await receive(tx, batch, items)

    questions = [question(consent, f"CASE-{n}") for n in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(repo, "receive", once)
        with pytest.raises(XinyiError):
            await submit(world.services, bike, questions)
    assert await rows(world) == [1, 2, 0]
    world.clock.advance(timedelta(days=LEAST_KEPT) + GRACE)
    assert await world.services.batches.sweep() == 3
    assert await rows(world) == [0, 0, 0]
    again = await submit(world.services, bike, questions)
    assert again.state is CheckBatchState.QUEUED
    assert await finish(world.services.batches) == 1


@pytest.mark.parametrize("swept", [False, True])
async def test_the_same_upload_under_its_key_is_another_batch_then(
    world: World, bike: Client, consent: Consent, swept: bool
) -> None:
    batch = await submit(world.services, bike, [question(consent)])
    await finish(world.services.batches)
    world.clock.advance(days_of(world, "bike-deposit") + GRACE)
    if swept:
        await world.services.batches.sweep()
    with pytest.raises(XinyiError) as refused:
        await submit(world.services, bike, [question(consent)], digest="another")
    assert refused.value.code is Code.IDEMPOTENCY_KEY_REUSED
    again = await submit(world.services, bike, [question(consent)])
    assert again.id != batch.id
    assert (await submit(world.services, bike, [question(consent)])).id == again.id
    await world.services.batches.sweep()
    assert await is_there(world, again)


async def test_no_transaction_removes_more_than_a_part(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AT_ONCE", 4)
    parts = []
    remove_some = repo.remove_some

    async def counted(*given: Any) -> int:
        parts.append(await remove_some(*given))
        return parts[-1]

    monkeypatch.setattr(repo, "remove_some", counted)
    for key in ("one", "two"):
        await submit(world.services, bike, [question(consent, f"CASE-{n}") for n in range(4)], key=key)
    await finish(world.services.batches)
    world.clock.advance(days_of(world, "bike-deposit") + GRACE)
    assert await world.services.batches.sweep() == 2 * (1 + 4 + 4)
    assert max(parts) == 4
    assert await rows(world) == [0, 0, 0]

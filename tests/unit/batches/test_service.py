"""A batch is taken in once, done once item by item as calls would be, and told as its consents now stand."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import DataError

from tests.support.batches import finish, question, results, submit, tally, told
from tests.support.world import NEIGHBOUR, PERSON, World, ask
from xinyi.batches import repo
from xinyi.batches.model import CheckBatchState
from xinyi.batches.service import CHUNK, SHORT_TURN, TURN
from xinyi.batches.worker import BatchWorker
from xinyi.checks.model import Answered, Ask, Refused, Result
from xinyi.consents.model import Consent, Party
from xinyi.kernel.errors import Code, XinyiError
from xinyi.partners.model import Client
from xinyi.subjects.model import Identifier
from xinyi.wiring import Services


@pytest.fixture
async def bike(world: World) -> Client:
    return await world.client("bike-deposit", kind="bike-share")


@pytest.fixture
async def consent(world: World, bike: Client) -> Consent:
    return await consent_of(PERSON, world, bike)


async def consent_of(identifier: Identifier, world: World, bike: Client) -> Consent:
    """The consent of somebody for whom the scenario's criteria are met."""
    person = await world.subject(identifier)
    await world.record(person, "SOCINS_PAID", months=12, as_of="2026-10-01")
    return await world.consent(bike, "bike-deposit", person)


async def test_each_item_gets_what_a_call_would_be_answered(world: World, bike: Client, consent: Consent) -> None:
    questions = [
        question(consent, "CASE-1"),
        question(consent, "CASE-2", "personal-loan"),
        question("cns_01kb0x4m9v5w8q2r7s3t6y1zab", "CASE-3"),
        question(consent, "CASE-4"),
    ]
    batch = await submit(world.services, bike, questions)
    await finish(world.services.batches)

    found = await results(world.services, batch)
    calls = [
        await world.check(ask(bike, consent)),
        await world.check(ask(bike, consent, scenario="personal-loan")),
        Refused(Code.NOT_FOUND, source="/consent_id"),
        await world.check(ask(bike, consent)),
    ]
    assert [told(each.result) for each in found] == [told(call) for call in calls]
    assert [each.item.request for each in found] == questions
    assert [each.result.check_id is None for each in found] == [False, False, True, False]
    finished = await world.services.batches.get(batch.id, partner_id=batch.partner_id, consent_id=None)
    assert (finished.state, finished.answered, finished.refused) == (CheckBatchState.FINISHED, 2, 2)
    stored, used, leaves = await tally(world.services)
    assert stored == used == leaves == 4


async def test_an_answer_of_a_batch_is_a_check_like_any_other(world: World, bike: Client, consent: Consent) -> None:
    batch = await submit(world.services, bike, [question(consent)])
    await finish(world.services.batches)

    (found,) = await results(world.services, batch)
    assert isinstance(found.result, Answered)
    again = await world.services.checks.get(
        client_id=bike.id, partner_id=batch.partner_id, bound_consent_id=None, check_id=found.result.check_id
    )
    assert again == found.result


async def test_a_turn_is_short_and_a_short_batch_doesnt_wait_for_a_long_one(
    world: World, bike: Client, consent: Consent
) -> None:
    batches = world.services.batches
    long = await submit(world.services, bike, [question(consent)] * (2 * TURN + 1), key="long")
    assert await batches.turn()
    short = await submit(world.services, bike, [question(consent)], key="short")
    assert await batches.turn()

    states = [await batches.get(each.id, partner_id=each.partner_id, consent_id=None) for each in (long, short)]
    assert [(each.state, each.done) for each in states] == [
        (CheckBatchState.RUNNING, TURN),
        (CheckBatchState.FINISHED, 1),
    ]
    assert await finish(world.services.batches) == 2
    assert not await batches.waits()


async def test_as_long_as_nobody_calls_a_turn_goes_on_with_the_batch(
    world: World, bike: Client, consent: Consent
) -> None:
    batches = world.services.batches
    other = await consent_of(NEIGHBOUR, world, bike)
    batch = await submit(world.services, bike, [question(each) for each in (consent, other)] * (2 * TURN))
    waiting = iter((True, True, False))
    assert await batches.turn(False, lambda: next(waiting))
    assert (await batches.get(batch.id, partner_id=batch.partner_id, consent_id=None)).done == 3 * TURN

    assert await finish(batches) == 1
    assert await tally(world.services) == (4 * TURN,) * 3
    assert [each.item.number for each in await results(world.services, batch)] == list(range(1, 4 * TURN + 1))


async def test_a_turn_that_goes_on_ends_where_something_cant_be_stored_and_where_others_are_at_it(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, settle, lock = world.services.batches, repo.settle, repo.lock
    batch = await submit(world.services, bike, [question(consent)] * (4 * TURN))

    async def not_the_third(tx: Any, batch: Any, settled: Any, at: Any) -> None:
        if batch.done == 2 * TURN:
            raise DataError("INSERT", None, Exception())
        await settle(tx, batch, settled, at)

    with monkeypatch.context() as patch:
        patch.setattr(repo, "settle", not_the_third)
        assert await batches.turn(False, lambda: True)
    assert (await batches.get(batch.id, partner_id=batch.partner_id, consent_id=None)).done == 2 * TURN

    async def held(tx: Any, batch_id: str, *, skip_locked: bool = False) -> Any:
        return None if skip_locked else await lock(tx, batch_id)

    with monkeypatch.context() as patch:
        patch.setattr(repo, "lock", held)
        assert await batches.turn(False, lambda: True)
    assert (await batches.get(batch.id, partner_id=batch.partner_id, consent_id=None)).done == 3 * TURN

    assert await finish(batches) == 1
    assert await tally(world.services) == (4 * TURN,) * 3


async def test_what_others_have_done_meanwhile_isnt_done_again(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, lock = world.services.batches, repo.lock
    batch = await submit(world.services, bike, [question(consent)] * (2 * TURN))

    async def overtaken(tx: Any, batch_id: str, *, skip_locked: bool = False) -> Any:
        found = await lock(tx, batch_id, skip_locked=skip_locked)
        return found and msgspec.structs.replace(found, done=found.done + 1)

    with monkeypatch.context() as patch:
        patch.setattr(repo, "lock", overtaken)
        assert await batches.turn(False, lambda: True)
    assert (await batches.get(batch.id, partner_id=batch.partner_id, consent_id=None)).done == TURN
    assert await tally(world.services) == (TURN,) * 3


async def test_the_same_key_is_the_same_batch_and_its_items_are_done_once(
    world: World, bike: Client, consent: Consent
) -> None:
    first = await submit(world.services, bike, [question(consent)] * 3)
    again = await submit(world.services, bike, [question(consent)] * 3)
    await finish(world.services.batches)
    later = await submit(world.services, bike, [question(consent)] * 3)

    assert first.id == again.id == later.id
    assert later.state is CheckBatchState.FINISHED
    assert await tally(world.services) == (3, 3, 3)
    with pytest.raises(XinyiError) as refused:
        await submit(world.services, bike, [question(consent)], digest="another")
    assert refused.value.code is Code.IDEMPOTENCY_KEY_REUSED


async def test_an_upload_that_was_interrupted_goes_on_and_isnt_begun_before_it_is_whole(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [question(consent, f"CASE-{n}") for n in range(CHUNK + 2)]
    receive = repo.receive

    async def fail_at_the_second_chunk(tx: Any, batch: Any, items: Any) -> bool:
        if items[0].number > 1:
            raise XinyiError(Code.UNAVAILABLE)
        return await receive(tx, batch, items)

    with monkeypatch.context() as patch:
        patch.setattr(repo, "receive", fail_at_the_second_chunk)
        with pytest.raises(XinyiError):
            await submit(world.services, bike, questions)
    assert not await world.services.batches.waits()
    assert not await world.services.batches.turn()

    batch = await submit(world.services, bike, questions)
    assert (batch.state, batch.received) == (CheckBatchState.QUEUED, CHUNK + 2)
    async with world.services.database.read() as tx:
        stored = await repo.items(tx, batch.id, 0, CHUNK + 10)
    assert [item.request for item in stored] == questions


async def test_withdrawn_while_it_runs_later_items_are_refused_and_earlier_ones_arent_given_again(
    world: World, bike: Client, consent: Consent
) -> None:
    other = await consent_of(NEIGHBOUR, world, bike)
    questions = [question(each, f"CASE-{n}") for n in range(TURN) for each in (consent, other)]
    batch = await submit(world.services, bike, questions)
    await world.services.batches.turn()
    await world.services.consents.withdraw(consent.id, Party.PARTNER, batch.partner_id)
    await finish(world.services.batches)

    found = await results(world.services, batch)
    of_withdrawn, of_other = found[::2], found[1::2]
    assert {told(each.result) for each in of_withdrawn} == {(Code.CONSENT_WITHDRAWN, None)}
    assert all(isinstance(each.result, Answered) for each in of_other)
    finished = await world.services.batches.get(batch.id, partner_id=batch.partner_id, consent_id=None)
    assert (finished.answered, finished.refused) == (TURN + TURN // 2, TURN // 2)
    assert await world.services.batches.outcomes(finished, client_id=bike.id) == {"met": TURN}


async def test_what_isnt_given_again_isnt_counted_either(world: World, bike: Client, consent: Consent) -> None:
    other = await consent_of(NEIGHBOUR, world, bike)
    batches = world.services.batches
    kept_longer = question("cns_x", scenario="microloan-prescreen")
    batch = await submit(world.services, bike, [question(consent), question(other), kept_longer])
    await finish(batches)
    batch = await batches.get(batch.id, partner_id=batch.partner_id, consent_id=None)
    elsewhere = await world.client("personal-loan")

    async def told_and_counted(client: Client) -> tuple[list[Any], dict[str, int]]:
        _, found = await batches.results(batch.id, client_id=client.id, after=0, limit=2)
        codes = [each.result.code if isinstance(each.result, Refused) else None for each in found]
        return codes, await batches.outcomes(batch, client_id=client.id)

    assert await told_and_counted(bike) == ([None, None], {"met": 2})
    assert await told_and_counted(elsewhere) == ([Code.NOT_ENTITLED] * 2, {})
    assert consent.subject_id is not None
    await world.services.consents.pause(consent.id, consent.subject_id)
    assert await told_and_counted(bike) == ([Code.CONSENT_PAUSED, None], {"met": 1})
    world.clock.advance(timedelta(days=world.services.scenarios.get("bike-deposit").retention_days))
    assert await told_and_counted(bike) == ([Code.CONSENT_PAUSED, Code.CONSENT_EXPIRED], {})


async def test_what_cant_be_stored_together_is_tried_alone_and_an_item_fails_alone(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, sizes = world.services.checks, []
    run_within = checks.run_within

    async def poisoned(tx: Any, asks: Sequence[Ask], **more: Any) -> list[Result]:
        sizes.append(len(asks))
        results = await run_within(tx, asks, **more)
        if any(each.request.reference == "CASE-2" for each in asks):
            raise DataError("", {}, ValueError())
        return results

    monkeypatch.setattr(checks, "run_within", poisoned)
    batch = await submit(world.services, bike, [question(consent, f"CASE-{n}") for n in range(5)])
    await finish(world.services.batches)

    assert sizes == [5, 1, 1, 1, 1, 1]
    found = await results(world.services, batch)
    assert [told(each.result) if isinstance(each.result, Refused) else None for each in found] == [
        None,
        None,
        (Code.UNAVAILABLE, None),
        None,
        None,
    ]
    assert await tally(world.services) == (4, 4, 4)


async def test_an_outage_does_nothing_and_blames_no_item(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await submit(world.services, bike, [question(consent)] * 3)

    async def away(tx: Any, batch: Any, settled: Any, at: Any) -> None:
        raise XinyiError(Code.UNAVAILABLE)

    with monkeypatch.context() as patch:
        patch.setattr(repo, "settle", away)
        with pytest.raises(XinyiError):
            await world.services.batches.turn()
    assert await tally(world.services) == (0, 0, 0)

    assert await finish(world.services.batches) == 1
    assert await tally(world.services) == (3, 3, 3)
    assert len(await results(world.services, batch)) == 3


async def test_a_token_of_one_consent_asks_under_no_other_and_sees_no_other_batch(
    world: World, bike: Client, consent: Consent
) -> None:
    other = await consent_of(NEIGHBOUR, world, bike)
    batches = world.services.batches
    bound = await submit(world.services, bike, [question(consent), question(other)], bound=consent.id)
    free = await submit(world.services, bike, [question(consent)], key="key-2")
    await finish(world.services.batches)

    found = await results(world.services, bound)
    assert isinstance(found[0].result, Answered)
    assert told(found[1].result) == (Code.NOT_FOUND, "/consent_id")
    assert await batches.get(bound.id, partner_id=bound.partner_id, consent_id=consent.id)
    for batch, partner_id, consent_id in (
        (free, free.partner_id, consent.id),
        (bound, bound.partner_id, other.id),
        (bound, "prt_01kb0x4m9v5w8q2r7s3t6y1zab", None),
    ):
        with pytest.raises(XinyiError) as refused:
            await batches.get(batch.id, partner_id=partner_id, consent_id=consent_id)
        assert refused.value.code is Code.NOT_FOUND


async def test_calls_are_answered_between_the_turns(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, engine, checks = world.services.batches, world.services.engine, world.services.checks
    await submit(world.services, bike, [question(consent)] * (2 * TURN))
    sizes: list[int] = []
    calls: list[asyncio.Task[Result]] = []
    run_within = checks.run_within

    async def with_a_call_behind_the_first(tx: Any, asks: Sequence[Ask], **more: Any) -> list[Result]:
        sizes.append(len(asks))
        if not calls:
            calls.append(asyncio.create_task(engine.check(ask(bike, consent))))
        return await run_within(tx, asks, **more)

    monkeypatch.setattr(checks, "run_within", with_a_call_behind_the_first)
    await asyncio.gather(engine.between(batches.turn), engine.between(batches.turn))

    assert sizes == [TURN, 1, SHORT_TURN]
    assert isinstance(await calls[0], Answered)


async def test_the_worker_does_what_others_left_behind(
    world: World, bike: Client, consent: Consent, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, nothing_left = world.services.batches, asyncio.Event()
    turn = batches.turn

    async def watched(short: bool, goes_on: Callable[[], bool]) -> bool:
        more = await turn(short, goes_on)
        if not more:
            nothing_left.set()
        return more

    monkeypatch.setattr(batches, "turn", watched)
    batch = await submit(world.services, bike, [question(consent)] * 3)
    worker = BatchWorker(batches, world.services.engine)
    worker.start()
    await nothing_left.wait()
    await worker.stop()

    assert len(await results(world.services, batch)) == 3
    assert await tally(world.services) == (3, 3, 3)


async def test_several_workers_share_the_batches_and_do_each_item_once(
    world: World, bike: Client, consent: Consent
) -> None:
    for n in range(3):
        await submit(world.services, bike, [question(consent)] * (TURN + n), key=f"key-{n}")
    other = Services.build(world.services.settings, world.clock)
    async with other.opened():
        turns = await asyncio.gather(finish(world.services.batches), finish(other.batches))
        await finish(world.services.batches)  # each may have left what the other was at

    assert sum(turns) >= 5
    assert await tally(world.services) == (3 * TURN + 3,) * 3

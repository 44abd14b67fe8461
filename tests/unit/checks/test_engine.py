"""Batching: what waits together is answered together, and fails alone."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import cast

import pytest
from sqlalchemy.exc import DataError

from tests.support.world import PERSON, World, ask
from xinyi.checks.engine import CAPACITY, PATIENCE, SHARE, Engine
from xinyi.checks.model import Answered, Ask, CheckRequest, Refused, Result
from xinyi.checks.service import CheckService
from xinyi.kernel.errors import Code, XinyiError


class Scripted:
    """Stands for the check service: notes each batch, and answers as told."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_work = asyncio.Event()
        self.poison: str | None = None
        self.error: Exception | None = None

    async def run(self, asks: Sequence[Ask]) -> list[Result]:
        self.batches.append(len(asks))
        self.at_work.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if any(each.request.reference == self.poison for each in asks):
            raise DataError("", {}, ValueError())
        return [Answered(each.request.reference, b"", "met") for each in asks]


def question(reference: str, partner: str = "prt") -> Ask:
    return Ask(client_id="cli", partner_id=partner, bound_consent_id=None, request=CheckRequest("s", "cns", reference))


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
async def engine(scripted: Scripted) -> AsyncGenerator[Engine]:
    started = Engine(cast("CheckService", scripted))
    started.start()
    yield started
    scripted.gate.set()
    await started.stop()


async def test_what_waits_while_a_batch_is_at_work_becomes_the_next_batch(engine: Engine, scripted: Scripted) -> None:
    scripted.gate.clear()
    first = asyncio.create_task(engine.check(question("0")))
    await scripted.at_work.wait()
    rest = [asyncio.create_task(engine.check(question(str(n)))) for n in range(1, 301)]
    await asyncio.sleep(0)
    scripted.gate.set()

    results = await asyncio.gather(first, *rest)

    assert scripted.batches == [1, 256, 44]
    assert [result.check_id for result in results] == [str(n) for n in range(301)]


async def test_an_item_that_the_database_refuses_fails_alone(engine: Engine, scripted: Scripted) -> None:
    scripted.poison = "bad"

    results = await asyncio.gather(
        *(engine.check(question(each)) for each in ("a", "bad", "b")), return_exceptions=True
    )

    assert [type(result) for result in results] == [Answered, XinyiError, Answered]


async def test_a_failing_commit_fails_the_whole_batch_and_the_engine_goes_on(
    engine: Engine, scripted: Scripted
) -> None:
    for error, code in ((XinyiError(Code.UNAVAILABLE), Code.UNAVAILABLE), (RuntimeError(), Code.INTERNAL)):
        scripted.error = error
        results = await asyncio.gather(*(engine.check(question("a")) for _ in range(3)), return_exceptions=True)
        assert [result.code for result in results if isinstance(result, XinyiError)] == [code] * 3

    scripted.error = None
    assert await engine.check(question("a")) == Answered("a", b"", "met")


async def test_callers_who_hung_up_cost_nothing(engine: Engine, scripted: Scripted) -> None:
    scripted.gate.clear()
    first = asyncio.create_task(engine.check(question("0")))
    await scripted.at_work.wait()
    gone = asyncio.create_task(engine.check(question("gone")))
    stays = asyncio.create_task(engine.check(question("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    scripted.gate.set()

    await asyncio.gather(first, stays)

    assert scripted.batches == [1, 1]


async def test_one_partner_leaves_places_for_the_others(engine: Engine, scripted: Scripted) -> None:
    scripted.gate.clear()
    first = asyncio.create_task(engine.check(question("0")))
    await scripted.at_work.wait()
    greedy = [asyncio.create_task(engine.check(question("a"))) for _ in range(SHARE)]
    await asyncio.sleep(0)

    with pytest.raises(XinyiError) as refused:
        await engine.check(question("b"))
    assert (refused.value.code, refused.value.retry_after) == (Code.RATE_LIMITED, 1)
    other = asyncio.create_task(engine.check(question("c", "another")))

    scripted.gate.set()
    assert await other == Answered("c", b"", "met")
    await asyncio.gather(first, *greedy)
    assert await engine.check(question("d")) == Answered("d", b"", "met")


async def test_beyond_its_capacity_callers_are_told_to_come_back(engine: Engine, scripted: Scripted) -> None:
    scripted.gate.clear()
    waiting = [asyncio.create_task(engine.check(question("a", f"prt-{n % 4}"))) for n in range(CAPACITY)]
    await asyncio.sleep(0)

    with pytest.raises(XinyiError) as refused:
        await engine.check(question("late"))

    assert refused.value.code is Code.UNAVAILABLE
    assert refused.value.retry_after == 1
    scripted.gate.set()
    await asyncio.gather(*waiting)


async def test_stopping_finishes_what_waits_and_refuses_what_comes_later(scripted: Scripted) -> None:
    engine = Engine(cast("CheckService", scripted))
    engine.start()
    scripted.gate.clear()
    waiting = [asyncio.create_task(engine.check(question(str(n)))) for n in range(3)]
    await asyncio.sleep(0)
    stopping = asyncio.create_task(engine.stop())
    scripted.gate.set()

    await stopping

    assert len(await asyncio.gather(*waiting)) == 3
    with pytest.raises(XinyiError):
        await engine.check(question("late"))


async def test_calls_go_before_the_turns_of_long_jobs(engine: Engine, scripted: Scripted) -> None:
    batches_before_the_turn: list[list[int]] = []

    async def turn(_short: bool, _idle: object) -> str:
        batches_before_the_turn.append(list(scripted.batches))
        return "done"

    scripted.gate.clear()
    first = asyncio.create_task(engine.check(question("first")))
    await scripted.at_work.wait()
    job = asyncio.create_task(engine.between(turn))
    await asyncio.sleep(0)
    later = [asyncio.create_task(engine.check(question(str(n)))) for n in range(300)]
    await asyncio.sleep(0)
    scripted.gate.set()

    assert await job == "done"
    await asyncio.gather(first, *later)
    assert batches_before_the_turn == [[1, 256, 44]]


async def test_a_long_job_advances_however_many_call(engine: Engine, scripted: Scripted) -> None:
    before: list[int] = []

    async def turn(_short: bool, _idle: object) -> None:
        before.append(len(scripted.batches))

    async def call_again(task: asyncio.Task[Result] | None = None) -> None:
        """Keeps one call waiting behind the one that is at work, for ever."""
        while not before:
            await asyncio.gather(*(engine.check(question("a")) for _ in range(300)))

    busy = [asyncio.create_task(call_again()) for _ in range(2)]
    await scripted.at_work.wait()
    await engine.between(turn)

    await asyncio.gather(*busy)
    assert before[0] <= PATIENCE + 2


async def test_a_turn_is_told_to_be_short_while_calls_come(engine: Engine) -> None:
    told: list[bool] = []

    async def turn(short: bool, _idle: object) -> None:
        told.append(short)

    await engine.between(turn)
    await engine.check(question("a"))
    await engine.between(turn)
    await engine.between(turn)

    assert told == [False, True, False]


async def test_what_a_turn_raises_reaches_who_wanted_it_and_the_engine_goes_on(engine: Engine) -> None:
    async def turn(_short: bool, _idle: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await engine.between(turn)

    assert await engine.check(question("a")) == Answered("a", b"", "met")


async def test_a_turn_isnt_taken_once_the_engine_stops(engine: Engine) -> None:
    await engine.stop()

    async def turn(_short: bool, _idle: object) -> None:
        raise AssertionError

    with pytest.raises(XinyiError):
        await engine.between(turn)


async def test_concurrent_callers_of_the_real_engine_get_their_own_answers(world: World) -> None:
    bike, person = await world.client("bike-deposit"), await world.subject(PERSON)
    consent = await world.consent(bike, "bike-deposit", person)
    engine = world.services.engine

    results = await asyncio.gather(
        *(engine.check(ask(bike, consent, key=f"k{n % 25}", reference=f"CASE-{n % 25}")) for n in range(50))
    )

    assert not any(isinstance(result, Refused) for result in results)
    assert results[:25] == results[25:]
    assert len({result.check_id for result in results}) == 25

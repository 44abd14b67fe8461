"""What may have been accepted before the short-lived state began is never accepted again."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.clock import ManualClock
from xinyi.kernel.errors import Code, XinyiError
from xinyi.storage.cache import MemoryCache
from xinyi.storage.database import Database
from xinyi.storage.horizon import Horizon
from xinyi.storage.once import Forgotten, Uses

TTL = timedelta(minutes=2)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 2, 8, 0, 0, 250_000, tzinfo=UTC))


async def started(database: Database, clock: ManualClock) -> Uses:
    """A process with an empty memory."""
    horizon = Horizon(database, clock)
    cache = MemoryCache(clock, horizon.begin)
    await cache.open()
    return Uses(cache, horizon, clock)


def second(clock: ManualClock) -> int:
    return int(clock.now().timestamp())


async def test_the_first_state_of_an_installation_serves_at_once(database: Database, clock: ManualClock):
    uses = await started(database, clock)
    assert await uses.first("proof", TTL, made=second(clock))
    assert not await uses.first("proof", TTL, made=second(clock))


async def test_what_was_made_before_the_first_state_is_refused(database: Database, clock: ManualClock):
    uses = await started(database, clock)
    with pytest.raises(Forgotten):
        await uses.first("proof", TTL, made=second(clock) - 1)


async def test_a_later_state_refuses_the_whole_second_in_which_it_began(database: Database, clock: ManualClock):
    """A proof is dated in whole seconds: one of this second may have been used before."""
    uses = await started(database, clock)
    assert await uses.first("proof", TTL, made=second(clock))
    clock.advance(timedelta(milliseconds=500))
    uses = await started(database, clock)
    with pytest.raises(XinyiError) as refused:
        await uses.first("proof", TTL, made=second(clock))
    assert (refused.value.code, refused.value.retry_after) == (Code.UNAVAILABLE, 1)
    clock.advance(timedelta(milliseconds=250))
    with pytest.raises(Forgotten):
        await uses.first("another", TTL, made=second(clock) - 1)
    assert await uses.first("new", TTL, made=second(clock))


async def test_a_proof_dated_ahead_isnt_accepted_again_after_a_restart(database: Database, clock: ManualClock):
    uses = await started(database, clock)
    ahead = second(clock) + 10
    assert await uses.first("proof", TTL, made=ahead)
    clock.advance(timedelta(seconds=3))
    uses = await started(database, clock)
    with pytest.raises(XinyiError) as refused:
        await uses.first("proof", TTL, made=ahead)
    assert refused.value.code is Code.UNAVAILABLE
    assert refused.value.retry_after is not None
    clock.advance(timedelta(seconds=refused.value.retry_after))
    assert not await uses.first("proof", TTL, made=ahead)
    with pytest.raises(Forgotten):
        await uses.first("another", TTL, made=ahead)
    assert await uses.first("new", TTL, made=second(clock))


async def test_another_worker_knows_what_was_dated_ahead(database: Database, clock: ManualClock):
    uses, other = await started(database, clock), Horizon(database, clock, margin=timedelta(seconds=2))
    assert await uses.first("proof", TTL, made=second(clock) + 8)
    assert await other.begin() > clock.now() + timedelta(seconds=8)


async def test_clocks_that_are_apart_delay_a_shared_state_only(database: Database, clock: ManualClock):
    horizon = Horizon(database, clock, margin=timedelta(seconds=2))
    assert await horizon.begin() == clock.now().replace(microsecond=0)
    assert await horizon.begin() == clock.now().replace(microsecond=0) + timedelta(seconds=3)


async def test_whoever_is_in_time_costs_no_write(database: Database, clock: ManualClock):
    await database.close()
    await Horizon(database, clock).note(clock.now().timestamp())

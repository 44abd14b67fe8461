"""One suite for the short-lived state, on each way to keep it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.pairs import Pair, Servers
from tests.support.servers import ValkeyProcess
from tests.support.trips import round_trips
from xinyi.kernel.errors import Code, XinyiError
from xinyi.storage.cache import Cache, MemoryCache, UnfitCache
from xinyi.storage.redis_cache import RedisCache

LONG = timedelta(minutes=5)
SINCE = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


async def begin() -> datetime:
    return SINCE


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def cache(pair: Pair, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Cache]:
    cache: Cache
    if isinstance(pair, Servers):
        settings = pair.settings(tmp_path)
        assert settings.cache_url is not None
        cache = RedisCache(settings.cache_url, begin, prefix=settings.cache_prefix)
    else:
        cache = MemoryCache(clock, begin)
    clock.followers.append(lambda by: pair.time_passes(tmp_path, by))
    await cache.open()
    yield cache
    await cache.close()


async def test_what_is_added_first_stays(cache: Cache):
    assert await cache.add("key", LONG, b"first")
    assert not await cache.add("key", LONG, b"second")
    assert await cache.get("key") == b"first"


async def test_of_many_who_add_at_once_one_succeeds(cache: Cache):
    assert sum(await asyncio.gather(*(cache.add("key", LONG) for _ in range(50)))) == 1


async def test_of_many_who_take_at_once_one_gets_it(cache: Cache):
    await cache.put("key", LONG, b"value")
    taken = await asyncio.gather(*(cache.take("key") for _ in range(50)))
    assert sorted(map(str, taken)) == sorted([str(b"value")] + ["None"] * 49)
    assert await cache.get("key") is None


async def test_put_replaces(cache: Cache):
    await cache.put("key", LONG, b"first")
    await cache.put("key", LONG, b"\x00second\xff")
    assert await cache.get("key") == b"\x00second\xff"


async def test_everything_ends_after_its_time(cache: Cache, clock: ManualClock):
    await cache.put("put", timedelta(seconds=60), b"value")
    await cache.add("add", timedelta(seconds=60), b"value")
    clock.advance(timedelta(seconds=59))
    assert not await cache.add("add", LONG)
    assert await cache.get("put") == b"value"
    clock.advance(timedelta(seconds=1))
    assert await cache.get("put") is None
    assert await cache.take("put") is None
    assert await cache.add("add", LONG)


async def test_touch_gives_the_value_and_more_time(cache: Cache, clock: ManualClock):
    await cache.put("key", timedelta(seconds=60), b"value")
    clock.advance(timedelta(seconds=59))
    assert await cache.touch("key", timedelta(seconds=60)) == b"value"
    clock.advance(timedelta(seconds=59))
    assert await cache.get("key") == b"value"


async def test_touch_doesnt_bring_back_what_was_deleted(cache: Cache):
    await cache.put("key", LONG, b"value")
    await cache.delete("key")
    assert await cache.touch("key", LONG) is None
    assert await cache.get("key") is None


async def test_a_count_goes_up_by_one_and_ends_after_its_time(cache: Cache, clock: ManualClock):
    counted = [cache.count("count", timedelta(seconds=60)) for _ in range(50)]
    assert await asyncio.gather(*counted) == list(range(1, 51))
    clock.advance(timedelta(seconds=59))
    assert await cache.count("count", timedelta(seconds=60)) == 51
    clock.advance(timedelta(seconds=1))
    assert await cache.count("count", timedelta(seconds=60)) == 1


async def test_it_tells_since_when_it_knows_everything(cache: Cache):
    assert cache.since == SINCE


async def test_memory_that_is_full_refuses_and_forgets_nothing():
    cache = MemoryCache(ManualClock(), capacity=2)
    assert await cache.add("a", LONG)
    assert await cache.add("b", LONG)
    with pytest.raises(XinyiError) as refused:
        await cache.add("c", LONG)
    assert refused.value.code is Code.UNAVAILABLE
    assert not await cache.add("a", LONG)


async def test_memory_counts_values_however_often_they_are_touched_or_replaced():
    clock = ManualClock()
    cache = MemoryCache(clock, capacity=2)
    await cache.add("a", LONG, b"1")
    for _ in range(100):
        clock.advance(timedelta(seconds=1))
        await cache.touch("a", LONG)
        await cache.put("a", LONG, b"2")
    assert cache._listed == sum(map(len, cache._due.values())) == 1
    await cache.add("b", LONG)
    assert await cache.take("b") == b""
    await cache.add("c", LONG)
    clock.advance(LONG - timedelta(seconds=1))
    assert await cache.get("a") == b"2"
    clock.advance(timedelta(seconds=1))
    await cache.add("d", LONG)
    assert cache._values.keys() == {"d"}


async def test_memory_keeps_little_of_what_was_removed_before_its_time():
    cache = MemoryCache(ManualClock())
    for number in range(10_000):
        await cache.put(f"code-{number}", LONG, b"")
        await cache.take(f"code-{number}")
    assert cache._listed == sum(map(len, cache._due.values())) < 2000


async def test_memory_keeps_what_was_touched_beyond_its_first_time():
    clock = ManualClock()
    cache = MemoryCache(clock)
    await cache.add("session", LONG, b"1")
    clock.advance(LONG / 2)
    await cache.touch("session", LONG)
    clock.advance(LONG / 2)
    await cache.add("another", LONG)
    assert await cache.get("session") == b"1"
    clock.advance(LONG / 2)
    await cache.add("later", LONG)
    assert cache._values.keys() == {"another", "later"}


async def test_memory_keeps_nothing_of_what_has_expired():
    clock = ManualClock()
    cache = MemoryCache(clock)
    for number in range(5000):
        await cache.add(f"jti-{number}", timedelta(seconds=1 + number % 90, milliseconds=number % 1000))
        if not number % 3:
            await cache.take(f"jti-{number}")
        clock.advance(timedelta(milliseconds=17))
    clock.advance(timedelta(seconds=100))
    await cache.add("last", LONG)
    assert cache._values.keys() == {"last"}
    assert (cache._listed, list(map(len, cache._due.values())), len(cache._seconds)) == (1, [1], 1)


class Beginning:
    """Counts how often a state begins, each time a minute later."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> datetime:
        self.times += 1
        return SINCE + timedelta(minutes=self.times)


@contextmanager
def running_valkey(folder: Path, **options: str) -> Iterator[ValkeyProcess]:
    process = ValkeyProcess(folder / "valkey", **options)
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyProcess]:
    with running_valkey(tmp_path) as process:
        yield process


async def test_workers_share_one_beginning(valkey: ValkeyProcess):
    beginning = Beginning()
    first, second = RedisCache(valkey.url, beginning), RedisCache(valkey.url, beginning)
    await first.open()
    await second.open()
    assert first.since == second.since == SINCE + timedelta(minutes=1)
    assert beginning.times == 1
    await first.close()
    await second.close()


async def test_every_worker_learns_of_a_flush_with_its_next_question(valkey: ValkeyProcess):
    beginning = Beginning()
    first, second = RedisCache(valkey.url, beginning), RedisCache(valkey.url, beginning)
    await first.open()
    await second.open()
    await first._ask("FLUSHALL")
    assert await second.add("proof", LONG)
    assert await first.get("proof") == b""
    assert first.since == second.since == SINCE + timedelta(minutes=2)
    await first.close()
    await second.close()


async def test_a_flush_in_the_midst_of_a_round_trip_is_seen_by_all_in_it(valkey: ValkeyProcess):
    cache = RedisCache(valkey.url, Beginning())
    await cache.open()
    await cache.add("proof", LONG)
    _, again, _ = await asyncio.gather(cache._ask("FLUSHALL"), cache.add("proof", LONG), cache.get("proof"))
    assert again
    assert cache.since == SINCE + timedelta(minutes=2)
    await cache.close()


async def test_another_run_of_the_server_is_a_new_state_even_if_it_kept_its_data(tmp_path: Path):
    with running_valkey(tmp_path, appendonly="yes", appendfsync="always") as valkey:
        cache = RedisCache(valkey.url, Beginning())
        await cache.open()
        await cache.add("proof", LONG)
        valkey.stop()
        with pytest.raises(XinyiError):
            await cache.get("proof")
        valkey.start()
        assert not await cache.add("proof", LONG)
        assert cache.since == SINCE + timedelta(minutes=2)
        await cache.close()


async def test_those_who_wait_share_one_round_trip(valkey: ValkeyProcess, monkeypatch: pytest.MonkeyPatch):
    cache = RedisCache(valkey.url, begin)
    await cache.open()
    trips = round_trips(cache, monkeypatch)
    await asyncio.gather(*(cache.add(f"key-{number}", LONG) for number in range(100)))
    assert trips == [101]
    await cache.close()


async def test_a_count_shares_the_round_trip_of_what_is_asked_next(
    valkey: ValkeyProcess, monkeypatch: pytest.MonkeyPatch
):
    cache = RedisCache(valkey.url, begin)
    await cache.open()
    trips = round_trips(cache, monkeypatch)
    count = cache.count("count", LONG)
    assert await cache.add("proof", LONG)
    assert await count == 1
    assert trips == [4]
    await cache.close()


async def test_a_count_fails_closed_while_the_server_is_stopped(valkey: ValkeyProcess):
    cache = RedisCache(valkey.url, Beginning())
    await cache.open()
    valkey.stop()
    with pytest.raises(XinyiError) as refused:
        await cache.count("count", LONG)
    assert refused.value.code is Code.UNAVAILABLE
    await cache.close()


async def test_it_fails_closed_while_the_server_is_stopped_and_recovers_by_itself(valkey: ValkeyProcess):
    cache = RedisCache(valkey.url, Beginning())
    await cache.open()
    valkey.stop()
    for _ in range(3):
        with pytest.raises(XinyiError) as refused:
            await cache.add("proof", LONG)
        assert (refused.value.code, refused.value.retry_after) == (Code.UNAVAILABLE, 1)
    valkey.start()
    assert await cache.add("proof", LONG)
    await cache.close()


async def test_it_fails_closed_within_a_second_while_the_server_is_frozen(valkey: ValkeyProcess):
    cache = RedisCache(valkey.url, Beginning())
    await cache.open()
    valkey.freeze()
    now = asyncio.get_running_loop().time
    began = now()
    for _ in range(2):  # the second has to connect
        asked = [asyncio.create_task(cache.add(f"proof-{number}", LONG)) for number in range(20)]
        await asyncio.wait(asked, timeout=1)
        assert all(isinstance(task.exception(), XinyiError) for task in asked)
    assert now() - began < 2
    valkey.thaw()
    assert await cache.add("other", LONG)
    assert cache.since == SINCE + timedelta(minutes=1)
    await cache.close()


async def test_a_full_server_refuses_and_forgets_nothing(tmp_path: Path):
    with running_valkey(tmp_path, maxmemory="3mb") as valkey:
        cache = RedisCache(valkey.url, begin)
        await cache.open()
        assert await cache.add("proof", LONG)
        fillers = (cache.put(f"filler-{number}", LONG, bytes(50_000)) for number in range(200))
        refused = [error for error in await asyncio.gather(*fillers, return_exceptions=True) if error is not None]
        assert {error.code for error in refused if isinstance(error, XinyiError)} == {Code.UNAVAILABLE}
        assert await cache.get("proof") == b""
        await cache.close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_server_that_would_forget_early_is_refused(tmp_path: Path, policy: str):
    with (
        running_valkey(tmp_path, **{"maxmemory": "100mb", "maxmemory-policy": policy}) as valkey,
        pytest.raises(UnfitCache, match="set maxmemory-policy to noeviction"),
    ):
        await RedisCache(valkey.url, begin).open()


async def test_installations_that_share_a_server_share_no_key(valkey: ValkeyProcess):
    one, other = (RedisCache(valkey.url, begin, prefix=f"{name}:") for name in ("one", "other"))
    for cache in (one, other):
        await cache.open()
    assert await one.add("key", LONG)
    assert await other.add("key", LONG)
    for cache in (one, other):
        await cache.close()


async def test_several_keys_are_looked_for_at_once(cache: Cache, clock: ManualClock):
    await cache.put("one", timedelta(seconds=60), b"")
    await cache.put("two", LONG, b"value")
    assert [await cache.present(*keys) for keys in (["none"], ["one"], ["one", "two", "none"])] == [0, 1, 2]
    clock.advance(timedelta(seconds=60))
    assert await cache.present("one", "two") == 1

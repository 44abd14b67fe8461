"""Health tells the truth quickly, whatever is away or busy."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.oauth import Platform, running_platform
from tests.support.pairs import Pair, Servers
from tests.support.servers import ValkeyProcess


@pytest.fixture
async def platform(tmp_path: Path, pair: Pair) -> AsyncIterator[Platform]:
    async with running_platform(tmp_path, pair) as platform:
        yield platform


async def test_a_running_server_is_live_and_ready(platform: Platform):
    assert (await platform.http.get("/health/live")).status_code == 200
    assert (await platform.http.get("/health/ready")).status_code == 200


async def test_while_every_connection_is_busy_it_is_live_and_says_why_it_isnt_ready(platform: Platform):
    database = platform.service("database")
    async with AsyncExitStack() as stack:
        for _ in range(10 if database.is_sqlite else 5):
            await stack.enter_async_context(database.read())
        began = time.monotonic()
        live, ready = await asyncio.gather(platform.http.get("/health/live"), platform.http.get("/health/ready"))
        assert time.monotonic() - began < 1.5
        asked = await platform.http.get("/v1/ledger/checkpoints/latest")
    assert live.status_code == 200
    assert (ready.status_code, ready.json()["code"], ready.headers["retry-after"]) == (503, "unavailable", "1")
    assert "busy" in ready.json()["detail"]
    assert (asked.status_code, asked.headers["retry-after"]) == (503, "1")
    assert (await platform.http.get("/health/ready")).status_code == 200


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyProcess]:
    process = ValkeyProcess(tmp_path / "valkey")
    process.start()
    yield process
    process.close()


async def test_while_redis_is_frozen_nothing_is_taken_and_ready_says_why(
    tmp_path: Path, servers: Servers, valkey: ValkeyProcess
):
    async with running_platform(tmp_path, servers.with_redis(valkey.url)) as platform:
        bank = await platform.partner("bike-deposit", kind="bike-share")
        token = await bank.token()
        valkey.freeze()
        began = time.monotonic()
        ready, refused, call = await asyncio.gather(
            platform.http.get("/health/ready"),
            bank.credentials(),
            bank.call("GET", "/v1/checks/chk_x", token),
        )
        assert time.monotonic() - began < 1
        assert (ready.status_code, ready.json()["detail"]) == (503, "the memory store can't be reached")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert (call.status_code, call.headers["retry-after"]) == (503, "1")
        assert (await platform.http.get("/health/live")).status_code == 200
        valkey.thaw()
        assert (await bank.credentials()).status_code == 200

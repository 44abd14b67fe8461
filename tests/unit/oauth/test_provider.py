"""What the sign-in provider publishes, while it can't be had."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.support.clock import ManualClock
from xinyi.oauth.upstream import _QUIET, SignInFailed, _Provider


async def test_whoever_waits_for_a_provider_that_is_away_waits_once(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    async def away(_client: object, url: str) -> Any:
        asked.append(url)
        await asyncio.sleep(0)
        raise httpx2.ReadTimeout("away")

    monkeypatch.setattr(httpx2.AsyncClient, "get", away)
    clock = ManualClock()
    provider = _Provider("https://identity.example", clock)
    told = await asyncio.gather(*(provider.metadata() for _ in range(20)), return_exceptions=True)
    assert [type(each) for each in told] == [SignInFailed] * 20
    assert len(asked) == 1, "one asks, and the others don't stand in a queue behind it"
    clock.advance(_QUIET)
    with pytest.raises(SignInFailed):
        await provider.metadata()
    assert len(asked) == 2

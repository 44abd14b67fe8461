"""Clients that talk to the stand-in platform. What a test does with one, it does with both."""

import inspect
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from tests.sdk.platform import CLIENT, ISSUER, Platform, Time
from xinyi_sdk import AsyncXinyi, Xinyi
from xinyi_sdk._engine import Sources

MakeClient = Callable[..., Any]
"""Makes a ``Xinyi`` or an ``AsyncXinyi``, with the platform's time and behind its transport."""


async def result(value: Any) -> Any:
    """What a call of either client gives."""
    return await value if inspect.isawaitable(value) else value


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(scope="session")
def private_jwk() -> dict[str, Any]:
    return dict(ECKey.generate_key("P-256", auto_kid=True).as_dict(private=True))


@pytest.fixture
def platform(time: Time, private_jwk: dict[str, Any]) -> Platform:
    return Platform(time, private_jwk)


@pytest.fixture(params=["sync", "async"])
def make_client(request: pytest.FixtureRequest, platform: Platform, private_jwk: dict[str, Any]) -> MakeClient:
    def make(*, chance: float = 0.5, **options: Any) -> Any:
        given = {"base_url": ISSUER, "client_id": CLIENT, "private_key": private_jwk, **options}
        client: Any
        if request.param == "sync":
            given.setdefault("http_client", httpx.Client(transport=platform.transport()))
            client = Xinyi(**given)
            client._driver.sleep = platform.time.sleep
        else:
            given.setdefault("http_client", httpx.AsyncClient(transport=platform.transport()))
            client = AsyncXinyi(**given)
            client._driver.sleep = platform.time.sleep_async
        client._engine.sources = Sources(wall=platform.time, monotonic=platform.time, random=lambda: chance)
        return client

    return make


@pytest.fixture
def client(make_client: MakeClient) -> Any:
    return make_client()

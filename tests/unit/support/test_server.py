"""The server that other tests start."""

from typing import Any

import httpx
import pytest

from tests.support.server import running_server


async def shows_its_path(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def cannot_start(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no"})


def test_it_answers_at_its_url_and_opens_its_event_loop() -> None:
    async def double(number: int) -> int:
        return number * 2

    with running_server(lambda url: shows_its_path) as server:
        assert httpx.get(f"{server.url}/here").text == "/here"
        assert server.call(double, 21) == 42


def test_it_is_gone_afterwards() -> None:
    with running_server(lambda url: shows_its_path) as server:
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_an_app_that_cannot_start_is_an_error() -> None:
    with pytest.raises(RuntimeError), running_server(lambda url: cannot_start):
        raise AssertionError("the block must not be entered")

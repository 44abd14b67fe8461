"""The keys that a client publishes at its ``jwks_uri``: fetched when needed, and no more often than they may be."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.support.clock import ManualClock
from xinyi.partners.published import AGAIN, LIMIT_BYTES, LONGEST, SHORTEST, STALE, USUAL, PublishedKeys
from xinyi.web.outbound import Outbound

URI = "https://bank.example/jwks.json"
SECOND = timedelta(seconds=1)


def jwk(kid: str, **more: Any) -> dict[str, Any]:
    return {**ECKey.generate_key("P-256").as_dict(private=False), "kid": kid, **more}


class Bank:
    """A partner's own address, and what it answers."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.keys = [jwk("k1")]
        self.open = asyncio.Event()
        """The answer comes when this is set."""
        self.open.set()

    async def answer(self, _request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        await self.open.wait()
        body = msgspec.json.encode({"keys": self.keys}) if self.body is None else self.body
        return httpx2.Response(self.status, headers=self.headers, stream=httpx2.ByteStream(body))


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def published(bank: Bank, clock: ManualClock) -> AsyncGenerator[PublishedKeys]:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14"]

    published = PublishedKeys(Outbound(resolve=resolve, transport=httpx2.MockTransport(bank.answer)), clock)
    yield published
    await published.close()


async def kids(published: PublishedKeys, kid: str | None = "k1") -> list[str]:
    return [key["kid"] for key in await published.get(URI, kid)]


async def settled() -> None:
    """Lets what is under way come to its end."""
    for _ in range(30):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("header", "fresh"),
    [
        ("", USUAL),
        ("public, max-age=300", timedelta(minutes=5)),
        ("max-age=0", SHORTEST),
        ("no-store", USUAL),
        ("max-age=999999999, immutable", LONGEST),
    ],
)
async def test_a_set_is_kept_as_long_as_it_says_within_our_bounds(
    bank: Bank, clock: ManualClock, published: PublishedKeys, header: str, fresh: timedelta
):
    bank.headers = {"cache-control": header}
    assert await kids(published) == ["k1"]
    clock.advance(fresh - SECOND)
    assert await kids(published) == ["k1"]
    assert bank.asked == 1
    bank.keys = [jwk("k1"), jwk("k2")]
    clock.advance(SECOND)
    assert await kids(published) == ["k1"], "it isn't waited for"
    await settled()
    assert (await kids(published), bank.asked) == (["k1", "k2"], 2)


async def test_a_key_that_isnt_there_is_looked_for_anew_and_not_too_often(
    bank: Bank, clock: ManualClock, published: PublishedKeys
):
    await kids(published)
    bank.keys.append(jwk("k2"))
    for _ in range(5):
        assert await kids(published, "k2") == ["k1"], "it was asked a moment ago"
    clock.advance(AGAIN)
    assert await kids(published, "k2") == ["k1", "k2"]
    for _ in range(5):
        assert await kids(published, "k3") == ["k1", "k2"]
    assert bank.asked == 2


async def test_however_many_wait_there_is_one_request(bank: Bank, published: PublishedKeys):
    bank.open.clear()
    waiting = [asyncio.create_task(kids(published)) for _ in range(50)]
    await settled()
    waiting[0].cancel()
    bank.open.set()
    found = await asyncio.gather(*waiting[1:])
    assert (found, bank.asked) == ([["k1"]] * 49, 1)


async def test_what_was_there_is_used_for_a_while_when_the_address_is_away(
    bank: Bank, clock: ManualClock, published: PublishedKeys
):
    await kids(published)
    bank.status = 503
    clock.advance(USUAL + STALE - SECOND)
    assert await kids(published) == ["k1"]
    await settled()
    assert bank.asked == 2
    clock.advance(SECOND)
    assert await kids(published) == [], "a key that may have been removed isn't taken for ever"
    bank.status = 200
    clock.advance(AGAIN)
    assert await kids(published) == ["k1"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"keys": []}'),
        (302, b'{"keys": []}'),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys": 1}'),
        (200, b'{"keys": [], "keys": []}'),
        (200, msgspec.json.encode({"keys": [{"kid": str(number)} for number in range(65)]})),
        (200, b" " * (LIMIT_BYTES + 1)),
    ],
)
async def test_a_failure_is_remembered_for_a_moment(
    bank: Bank, clock: ManualClock, published: PublishedKeys, status: int, body: bytes
):
    bank.status, bank.body = status, body
    for _ in range(5):
        assert await kids(published) == []
    assert bank.asked == 1
    bank.status, bank.body = 200, None
    clock.advance(AGAIN)
    assert await kids(published) == ["k1"]


async def test_keys_that_arent_for_us_are_passed_over(bank: Bank, published: PublishedKeys):
    leaked = {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "leaked"}
    bank.keys = [
        leaked,
        jwk("encrypts", use="enc"),
        {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "p384"},
        {**RSAKey.generate_key(2048).as_dict(private=False), "kid": "rs256", "alg": "RS256"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
        {**OKPKey.generate_key("X25519").as_dict(private=False), "kid": "x25519"},
        ECKey.generate_key("P-256").as_dict(private=False),
        jwk("k1"),
        {**OKPKey.generate_key("Ed25519").as_dict(private=False), "kid": "k2"},
    ]
    assert await kids(published) == ["k1", "k2"]

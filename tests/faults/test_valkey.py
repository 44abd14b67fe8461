"""The memory store stops, freezes, forgets: nothing is answered that can't be known to be new, and soon all is well.

What was used before a fault stays used after it: proofs, assertions, pushed requests and codes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import redis
from msgspec import Struct

from tests.faults.conftest import Own
from tests.support.clock import ManualClock
from tests.support.fleet import Partner, calling, connected, worker
from tests.support.oauth import REDIRECT_URI, Form, Subject, answer, forms
from tests.support.process import ServerProcess
from tests.support.world import PERSON, new_world
from xinyi.consents.model import Consent

SCENARIO, PERSONA = "library-lending", "person-a"
REFUSED_WITHIN = 1.0
RECOVERED_WITHIN = 5.0
AT_ONCE = 8
FLUSHES = 2


class Used(Struct, frozen=True):
    """Things that may be used once, and were."""

    proof: dict[str, Any]
    """A call of the API."""
    assertion: dict[str, Any]
    """A token request."""
    request_uri: str
    decision: Form
    """The page's form that spent it."""
    code: str


class Scene(Struct, frozen=True):
    """Two workers, a partner that calls both, and the consent it asks under."""

    servers: list[ServerProcess]
    partners: list[Partner]
    consent: Consent
    browser: Subject

    async def use(self) -> Used:
        """Uses one of each, at the first worker."""
        first = self.partners[0]
        body = {"scenario": SCENARIO, "consent_id": self.consent.id, "reference": "CASE-1"}
        headers = {
            "authorization": f"DPoP {first.held}",
            "dpop": first.proof("POST", "/v1/checks", token=first.held),
        }
        proof = {"method": "POST", "url": "/v1/checks", "headers": headers, "json": body}
        form = first.form("/oauth2/token", {"grant_type": "client_credentials"})
        assertion = {"method": "POST", "url": "/oauth2/token", **form}
        for used in (proof, assertion):
            response = await first.http.request(**used)
            assert response.status_code == 200, response.text
        request_uri = (await first.par(SCENARIO)).json()["request_uri"]
        self.browser.http.cookies.clear()
        self.browser.http.base_url = first.http.base_url
        page = await self.browser.sign_in(await self.browser.open(first, request_uri), PERSONA)
        code = answer(await self.browser.decide(page, "agree"))["code"]
        assert (await first.redeem(code)).status_code == 200
        return Used(proof, assertion, request_uri, forms(page)[-1], code)

    async def again(self, used: Used) -> list[httpx.Response]:
        """Tries each once more, at both workers."""
        told = []
        for partner in self.partners:
            self.browser.http.base_url = partner.http.base_url
            told += [
                await partner.http.request(**used.proof),
                # Whoever holds the assertion may well make a new proof.
                await partner.http.request(
                    **{**used.assertion, "headers": {"dpop": partner.proof("POST", "/oauth2/token")}}
                ),
                await self.browser.open(partner, used.request_uri),
                await self.browser.submit(used.decision, decision="agree"),
                await partner.redeem(used.code),
            ]
        return told

    async def refused(self) -> float:
        """Many ask at both workers, for checks and tokens; gives how long the slowest refusal took."""
        begin = time.monotonic()
        slowest = 0.0

        async def one(call: Any) -> None:
            nonlocal slowest
            response = await call
            slowest = max(slowest, time.monotonic() - begin)
            assert response.status_code == 503, response.text
            assert response.headers["retry-after"] == "1"

        checks = (each.check(self.consent.id, SCENARIO, "CASE-2") for each in self.partners for _ in range(AT_ONCE))
        tokens = (each.credentials() for each in self.partners for _ in range(AT_ONCE))
        await asyncio.gather(*map(one, (*checks, *tokens)))
        return slowest

    async def recovered(self) -> float:
        """Seconds until both workers answer with new tokens and proofs."""
        begin = time.monotonic()
        for partner in self.partners:
            while (response := await partner.credentials()).status_code != 200:
                assert response.status_code in {400, 503}, response.text
                assert time.monotonic() - begin < 4 * RECOVERED_WITHIN, response.text
            partner.held = response.json()["access_token"]
            while (response := await partner.check(self.consent.id, SCENARIO, "CASE-3")).status_code != 200:
                assert response.status_code == 503, response.text
        return time.monotonic() - begin


@pytest.fixture(scope="module")
async def at(own: Own, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("valkey")
    async with new_world(folder, own.pair, ManualClock(datetime.now(UTC))) as world:
        client = await world.client(SCENARIO, kind="library", redirect_uris=[REDIRECT_URI])
        consent = await world.consent(client, SCENARIO, await world.subject(PERSON))
        key = world.private_keys[client.id]
    with ExitStack() as stack:
        servers = [stack.enter_context(worker(folder, own.pair)) for _ in range(2)]
        async with calling(client, key, *servers) as partners, connected(servers[0]) as http:
            yield Scene(servers, partners, consent, Subject(http))
        assert [server.process.poll() for server in servers] == [None, None], "no server was started again"
        assert [line for server in servers for line in server.log if "unforeseen" in line] == []


def _stays_used(told: Sequence[httpx.Response], *also: int) -> None:
    """Five refusals by each worker, none of which says that it is let through."""
    allowed = [{401}, {400, 401}, {400}, {400, 404}, {400}] * 2
    for response, statuses in zip(told, allowed, strict=True):
        assert response.status_code in {*statuses, *also}, response.text


async def test_while_it_is_frozen_everybody_is_refused_in_time_and_what_was_used_stays_used(
    own: Own, at: Scene, tell: Callable[[str], None]
) -> None:
    used = await at.use()
    own.valkey.freeze()
    try:
        slowest = await at.refused()
        assert (await at.partners[0].http.get("/health/live")).status_code == 200
        assert {response.status_code for response in await at.again(used)} == {503}
    finally:
        own.valkey.thaw()
    took = await at.recovered()
    _stays_used(await at.again(used))
    assert slowest <= REFUSED_WITHIN
    assert took <= RECOVERED_WITHIN
    tell(f"faults: memory store frozen: refused in {slowest:.2f} s; answers again {took:.2f} s after; nothing twice")


async def test_while_it_is_stopped_everybody_is_refused_in_time_and_what_was_used_stays_used(
    own: Own, at: Scene, tell: Callable[[str], None]
) -> None:
    used = await at.use()
    own.valkey.stop()
    slowest = await at.refused()
    assert {response.status_code for response in await at.again(used)} == {503}
    own.valkey.start()
    _stays_used(await at.again(used), 503)
    took = await at.recovered()
    _stays_used(await at.again(used))
    assert slowest <= REFUSED_WITHIN
    assert took <= RECOVERED_WITHIN
    tell(f"faults: memory store stopped: refused in {slowest:.2f} s; answers again {took:.2f} s after; nothing twice")


async def test_when_it_is_flushed_what_was_used_stays_used(own: Own, at: Scene, tell: Callable[[str], None]) -> None:
    longest = 0.0
    for _ in range(FLUSHES):
        used = await at.use()
        with redis.Redis.from_url(own.valkey.url) as admin:
            admin.flushall()
        _stays_used(await at.again(used), 503)
        longest = max(longest, await at.recovered())
        _stays_used(await at.again(used))
    assert longest <= RECOVERED_WITHIN
    tell(f"faults: memory store flushed {FLUSHES} times: answers again within {longest:.2f} s; nothing twice")

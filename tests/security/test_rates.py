"""One client may call so often, and no oftener; the others don't notice."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.clock import ManualClock
from tests.support.oauth import PartnerProgram, Platform, running_platform
from tests.support.pairs import Pair, Servers
from tests.support.trips import round_trips
from xinyi.storage.redis_cache import RedisCache

SCENARIO = "bike-deposit"
CONSENT = "/v1/consents/cns_00000000000000000000000000"
CHECK: Final = {"scenario": SCENARIO, "consent_id": "cns_00000000000000000000000000", "reference": "CASE-1"}
RATES: dict[str, Any] = {"rate_calls": 3, "rate_checks": 2, "rate_uploads": 1, "rate_pushes": 2, "rate_tokens": 4}


@pytest.fixture
async def platform(tmp_path: Path, pair: Pair) -> AsyncGenerator[Platform]:
    async with running_platform(tmp_path, pair, **RATES) as platform:
        yield platform


@pytest.fixture
async def bike(platform: Platform) -> PartnerProgram:
    return await platform.partner(SCENARIO, kind="bike-share")


def limited(response: httpx.Response, seconds: int = 60) -> bool:
    if response.status_code != 429:
        return False
    assert response.headers["retry-after"] == str(seconds)
    assert response.headers["ratelimit"].split(";")[1:] == ["r=0", f"t={seconds}"]
    return True


async def test_calls_are_counted_and_the_client_is_told_how_it_stands(platform: Platform, bike: PartnerProgram):
    token = await bike.token()
    platform.clock.advance(timedelta(seconds=18))
    assert "ratelimit" not in (await bike.call("GET", CONSENT, token)).headers
    for left in (1, 0):
        response = await bike.call("GET", CONSENT, token)
        assert response.status_code == 404
        assert response.headers["ratelimit-policy"] == '"calls";q=3;w=60'
        assert response.headers["ratelimit"] == f'"calls";r={left};t=42'
    response = await bike.call("GET", CONSENT, token)
    assert limited(response, 42)
    assert (response.json()["code"], response.json()["retry_after"]) == ("rate_limited", 42)
    platform.clock.advance(timedelta(seconds=42))
    assert (await bike.call("GET", CONSENT, token)).status_code == 404


async def test_other_clients_and_other_operations_are_counted_apart(platform: Platform, bike: PartnerProgram):
    token, other = await bike.token(), await platform.partner(SCENARIO, kind="bike-share")
    others = await other.token()
    while not limited(await bike.call("GET", CONSENT, token)):
        pass
    assert (await other.call("GET", CONSENT, others)).status_code == 404
    assert (await bike.call("POST", "/v1/checks", token, json=CHECK)).status_code == 404


async def test_checks_uploads_pushed_requests_and_tokens_have_rates_of_their_own(
    platform: Platform, bike: PartnerProgram
):
    token, source = await bike.token(), await platform.source()
    sources = await source.token()

    async def upload(program: PartnerProgram, path: str, held: str) -> httpx.Response:
        headers = {"content-type": "application/x-ndjson", "idempotency-key": "k"}
        return await program.call("POST", path, held, content=b"\n", headers=headers)

    assert [limited(await bike.call("POST", "/v1/checks", token, json=CHECK)) for _ in range(3)] == [False, False, True]
    assert [limited(await upload(bike, "/v1/check-batches", token)) for _ in range(2)] == [False, True]
    assert [limited(await upload(source, "/v1/record-batches", sources)) for _ in range(2)] == [False, True]
    assert [limited(await bike.par(SCENARIO)) for _ in range(3)] == [False, False, True]
    assert [limited(await bike.credentials()) for _ in range(4)] == [False, False, False, True]
    refusal = (await bike.credentials()).json()
    assert refusal["error"] == "temporarily_unavailable"
    assert refusal["error_description"].startswith("rate_limited: ")


async def test_nobody_uses_up_the_rate_of_another(bike: PartnerProgram):
    stranger = bike.key.generate_key("P-256")
    for _ in range(10):
        assert (await bike.credentials(assertion=bike.assertion(key=stranger))).status_code == 400
    token = await bike.token()
    for _ in range(10):
        assert (await bike.call("GET", CONSENT, token, proof=bike.proof("GET", CONSENT))).status_code == 401
    assert (await bike.call("GET", CONSENT, token)).status_code == 404


async def test_workers_count_together(tmp_path: Path, servers: Servers):
    clock = ManualClock()
    async with (
        running_platform(tmp_path, servers, clock, **RATES) as one,
        running_platform(tmp_path, servers, clock, **RATES) as two,
    ):
        bike = await one.partner(SCENARIO, kind="bike-share")
        token = await bike.token()
        for platform in (one, two, one):
            bike.http = platform.http
            assert not limited(await bike.call("GET", CONSENT, token))
        bike.http = two.http
        assert limited(await bike.call("GET", CONSENT, token))


async def test_a_call_costs_one_round_trip_count_and_proof_together(
    tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
):
    async with running_platform(tmp_path, servers) as platform:
        bike = await platform.partner(SCENARIO, kind="bike-share")
        token = await bike.token()
        cache: Any = platform.service("cache")
        assert isinstance(cache, RedisCache)
        trips = round_trips(cache, monkeypatch)
        assert (await bike.call("POST", "/v1/checks", token, json=CHECK)).status_code == 404
        assert len(trips) == 1

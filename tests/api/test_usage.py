"""``/v1/partner/usage`` and ``/v1/partner/quota``, over HTTP with real tokens and proofs."""

from collections.abc import AsyncGenerator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.oauth import PartnerProgram, Platform, running_platform
from tests.support.pairs import Pair
from xinyi.usage.model import EVERYBODY, Price, units_of
from xinyi.web.rates import Limit

BIKE = "bike-deposit"


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> AsyncGenerator[Platform]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    async with running_platform(folder, pair, rate_uploads=120) as platform:
        yield platform


async def call(program: PartnerProgram, method: str, path: str, token: str, **more: Any) -> httpx.Response:
    proof = program.proof(method, path.partition("?")[0], token=token)
    return await program.call(method, path, token, proof=proof, **more)


async def test_a_partner_sees_what_it_used_and_what_that_costs(platform: Platform) -> None:
    program = await platform.partner(BIKE)
    token = await program.token()
    request_uri = (await program.par(BIKE)).json()["request_uri"]
    bound = (await program.redeem(await platform.subject().agree(program, request_uri, "person-a"))).json()
    consent_id = bound["authorization_details"][0]["consent_id"]
    async with platform.service("database").transaction() as tx:
        await platform.service("usage").set_price(tx, Price(BIKE, EVERYBODY, date(2026, 11, 2), units_of("0.05")))
    for reference in ("CASE-1", "CASE-2"):
        body = {"scenario": BIKE, "consent_id": consent_id, "reference": reference}
        assert (await call(program, "POST", "/v1/checks", token, json=body)).status_code == 200

    found = (await call(program, "GET", "/v1/partner/usage?by=month", token)).json()
    assert found == {
        "data": [{"period": "2026-11", "scenario": BIKE, "answered": 2, "refused": 0, "amount": "0.1000"}],
        "meta": {"currency": "CNY", "from": "2026-11-01", "to": "2026-11-02"},
    }
    empty = await call(program, "GET", "/v1/partner/usage?from=2026-10-01&to=2026-10-31", token)
    assert empty.json()["data"] == []
    for wrong in ("from=2026-11-03&to=2026-11-01", "from=2024-01-01", "from=yesterday", "by=week"):
        response = await call(program, "GET", f"/v1/partner/usage?{wrong}", token)
        assert response.status_code in {400, 422}, wrong
    assert (await call(program, "GET", "/v1/partner/usage", bound["access_token"])).status_code == 403


async def test_a_client_sees_what_is_left_of_its_quota(platform: Platform) -> None:
    program = await platform.partner(BIKE)
    token = await program.token()
    for _ in range(2):
        quota = (await call(program, "GET", "/v1/partner/quota", token)).json()["data"]
    by_limit = {each["limit"]: each for each in quota}
    assert set(by_limit) == {limit.value for limit in Limit} - {"requests"}, "which are those of subjects"
    assert by_limit["uploads"] == {
        "limit": "uploads",
        "quota": 120,
        "window_seconds": 60,
        "remaining": 120,
        "ends_in_seconds": 60,
    }
    assert by_limit["calls"]["quota"] - by_limit["calls"]["remaining"] == 2, "these two"
    assert by_limit["tokens"]["quota"] - by_limit["tokens"]["remaining"] == 1

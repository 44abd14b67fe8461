"""A client that is disabled, or whose owner is suspended, gets no further, however long its token still lives."""

from typing import Any, Final

import httpx
import pytest
from litestar.routes import HTTPRoute

from tests.support.oauth import PartnerProgram, Platform
from xinyi.web.principal import STANDING_OPTION, Requires, Scope

SCENARIO = "bike-deposit"
CONSENT = "cns_00000000000000000000000000"
CHECK: Final = {"scenario": SCENARIO, "consent_id": CONSENT, "reference": "CASE-1"}


async def stop(platform: Platform, program: PartnerProgram, how: str) -> None:
    partners = platform.service("partners")
    async with platform.service("database").transaction() as tx:
        if how == "disabled":
            await partners.disable_client(tx, program.id)
        elif program.client.partner_id is not None:
            await partners.suspend_partner(tx, program.client.partner_id)
        else:
            await partners.suspend_source(tx, program.client.source_id)


def operations(platform: Platform) -> list[tuple[str, str, Scope]]:
    """Each operation that needs a token, with an address of its own."""
    found: list[tuple[str, str, Scope]] = []
    for route in platform.app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            scopes = [guard.scope for guard in handler.resolve_guards() if isinstance(guard, Requires)]
            method = next((str(each) for each in sorted(handler.http_methods - {"OPTIONS", "HEAD"})), None)
            if scopes and method and not handler.opt.get(STANDING_OPTION):
                path = route.path_format.replace("{scenario_id}", SCENARIO)
                found.append((method, path.replace("{", "").replace("}", ""), scopes[0]))
    return found


@pytest.mark.parametrize(("how", "code"), [("disabled", "not_entitled"), ("suspended", "partner_suspended")])
async def test_no_operation_answers_from_then_on(platform: Platform, how: str, code: str):
    bike, source = await platform.partner(SCENARIO, kind="bike-share"), await platform.source()
    tokens = {program: await program.token() for program in (bike, source)}
    await stop(platform, bike, how)
    await stop(platform, source, how)
    tried = operations(platform)
    assert len(tried) >= 9
    for method, path, scope in tried:
        program = source if scope is Scope.RECORDS else bike
        response = await program.call(method, path, tokens[program])
        assert (response.status_code, response.json()["code"]) == (403, code), (method, path, response.text)


@pytest.mark.parametrize(("how", "code"), [("disabled", "not_entitled"), ("suspended", "partner_suspended")])
async def test_a_check_is_refused_by_its_service_which_asks_under_its_locks(platform: Platform, how: str, code: str):
    bike = await platform.partner(SCENARIO, kind="bike-share")
    request_uri = (await bike.par(SCENARIO)).json()["request_uri"]
    granted = await bike.redeem(await platform.subject().agree(bike, request_uri, "person-a"))
    consent_id = granted.json()["authorization_details"][0]["consent_id"]
    token = granted.json()["access_token"]
    asked: dict[str, Any] = {"json": {**CHECK, "consent_id": consent_id}, "headers": {"idempotency-key": "once"}}
    answer = await bike.call("POST", "/v1/checks", token, **asked)
    assert answer.status_code == 200
    await stop(platform, bike, how)
    for path in ("", f"/{answer.json()['data']['id']}", f"/{answer.json()['data']['id']}/receipt"):
        more: dict[str, Any] = {} if path else asked
        again: httpx.Response = await bike.call("GET" if path else "POST", f"/v1/checks{path}", token, **more)
        assert (again.status_code, again.json()["code"]) == (403, code)


async def test_a_suspended_partner_gets_a_token_to_give_consents_up_and_for_nothing_else(platform: Platform):
    bike = await platform.partner(SCENARIO, kind="bike-share")
    request_uri = (await bike.par(SCENARIO)).json()["request_uri"]
    granted = await bike.redeem(await platform.subject().agree(bike, request_uri, "person-a"))
    consent_id = granted.json()["authorization_details"][0]["consent_id"]
    await stop(platform, bike, "suspended")
    for scope in ({}, {"scope": "checks"}, {"scope": "checks consents"}):
        assert (await bike.credentials(**scope)).json()["error"] == "unauthorized_client"
    token = (await bike.credentials(scope="consents")).json()["access_token"]
    for method, path in (("GET", f"/v1/consents/{consent_id}"), ("GET", "/v1/consents")):
        refused = await bike.call(method, path, token)
        assert (refused.status_code, refused.json()["code"]) == (403, "partner_suspended")
    ended = await bike.call("DELETE", f"/v1/consents/{consent_id}", token)
    assert (ended.status_code, ended.json()["data"]["ended"]["by"]) == (200, "partner")

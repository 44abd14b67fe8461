"""The consent by redirect, from the pushed request to a token that carries a check."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import delete, select

from tests.support.clock import ManualClock
from tests.support.keys import fresh_keys
from tests.support.oauth import (
    ABSENT,
    ISSUER,
    PartnerProgram,
    Platform,
    answer,
    browser_of,
    details,
    forms,
)
from tests.support.pairs import Pair
from tests.support.production import PRODUCTION
from xinyi.app import create_app
from xinyi.consents.tables import consents
from xinyi.partners.tables import client_scenarios
from xinyi.sandbox.personas import personas

pytestmark = pytest.mark.anyio

SCENARIO = "personal-loan"
IDENTIFIERS = {persona.id: persona.identifier.value for persona in personas()}


@pytest.fixture
async def bank(platform: Platform) -> PartnerProgram:
    return await platform.partner(SCENARIO, "microloan-prescreen")


async def pushed(bank: PartnerProgram, **form: Any) -> str:
    response = await bank.par(SCENARIO, **form)
    assert response.status_code == 201, response.text
    return str(response.json()["request_uri"])


async def consent_state(platform: Platform, bank: PartnerProgram) -> str:
    """The state of the only consent that the bank has."""
    async with platform.service("database").read() as tx:
        consent_id = (await tx.execute(select(consents.c.id).where(consents.c.client_id == bank.id))).scalar_one()
    response = await bank.call("GET", f"/v1/consents/{consent_id}", await bank.token())
    return str(response.json()["data"]["state"])


async def test_from_the_pushed_request_to_a_check(platform: Platform, bank: PartnerProgram):
    response = await bank.par(SCENARIO)
    assert response.status_code == 201
    assert response.json()["expires_in"] == 90
    assert response.headers["cache-control"] == "no-store"
    subject = platform.subject()
    page = await subject.open(bank, response.json()["request_uri"])
    assert page.status_code == 200
    consent = await subject.sign_in(page, "person-a")
    assert "示例机构" in consent.text
    back = await subject.decide(consent, "agree")
    found = answer(back)
    assert found.keys() == {"code", "state", "iss"}
    assert (found["state"], found["iss"]) == ("the-state", ISSUER)
    redeemed = await bank.redeem(found["code"])
    assert redeemed.status_code == 200, redeemed.text
    body = redeemed.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("DPoP", 300, "checks")
    (granted,) = body["authorization_details"]
    assert granted.keys() == {"type", "scenario", "version", "consent_id"}
    assert (granted["type"], granted["scenario"], granted["version"]) == ("credit_scenario_check", SCENARIO, 1)
    request = {"scenario": SCENARIO, "consent_id": granted["consent_id"], "reference": "LOAN-1"}
    check = await bank.call("POST", "/v1/checks", body["access_token"], json=request)
    assert check.status_code == 200, check.text
    assert check.json()["data"]["outcome"] == "not_evidenced"


async def test_the_token_of_one_consent_names_no_other(platform: Platform, bank: PartnerProgram):
    first = await platform.subject().agree(bank, await pushed(bank), "person-a")
    second = await platform.subject().agree(bank, await pushed(bank), "person-b")
    token = (await bank.redeem(first)).json()["access_token"]
    other = (await bank.redeem(second)).json()["authorization_details"][0]["consent_id"]
    request = {"scenario": SCENARIO, "consent_id": other, "reference": "LOAN-1"}
    assert (await bank.call("POST", "/v1/checks", token, json=request)).status_code == 404


async def test_a_refusal_is_final_and_gives_no_reason(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    request_uri = await pushed(bank)
    consent = await subject.sign_in(await subject.open(bank, request_uri), "person-a")
    back = await subject.decide(consent, "refuse")
    assert answer(back) == {"error": "access_denied", "state": "the-state", "iss": ISSUER}
    assert (await subject.open(bank, request_uri)).status_code == 400
    assert (await subject.decide(consent, "agree")).status_code == 400
    assert await consent_state(platform, bank) == "rejected"


@pytest.mark.parametrize("decision", ["agree", "refuse"])
async def test_another_subject_than_the_named_one_is_denied_without_a_reason(
    platform: Platform, bank: PartnerProgram, decision: str
):
    named = details(SCENARIO, subject={"identifier": IDENTIFIERS["person-a"]})
    subject = platform.subject()
    page = await subject.open(bank, await pushed(bank, authorization_details=named))
    theirs_not = await subject.sign_in(page, "person-b")
    back = await subject.decide(theirs_not, decision)
    assert answer(back) == {"error": "access_denied", "state": "the-state", "iss": ISSUER}
    assert await consent_state(platform, bank) == "rejected", "as if the one who was named had refused"


async def test_a_refusal_does_not_tell_whether_the_named_subject_was_there(platform: Platform):
    told = []
    for who in ("person-a", "person-b", "company-a", None):
        bank = await platform.partner(SCENARIO)
        named = {"identifier": IDENTIFIERS["person-a"]}
        subject = platform.subject()
        if who is not None:
            await subject.sign_in(await subject.http.get("/sign-in"), who)
        page = await subject.open(bank, await pushed(bank, authorization_details=details(SCENARIO, subject=named)))
        back = await subject.submit(forms(page)[-1], decision="refuse")
        token = await bank.token()
        (consent,) = (await bank.call("GET", "/v1/consents", token)).json()["data"]
        again = await bank.call("POST", "/v1/consents", token, json={"scenario": SCENARIO, "subject": named})
        told.append((answer(back), {**consent, "id": "", "client_id": ""}, again.status_code, again.json()["code"]))
    assert told == [told[0]] * 4
    assert told[0][1]["state"] == "rejected"


async def test_a_preview_that_cannot_be_made_refuses_nothing(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    consent = await subject.sign_in(await subject.open(bank, await pushed(bank)), "person-a")
    async with platform.service("database").transaction() as tx:
        await tx.execute(delete(client_scenarios).where(client_scenarios.c.client_id == bank.id))
    assert answer(await subject.decide(consent, "preview"))["error"] == "access_denied"
    assert await consent_state(platform, bank) == "awaiting_authorisation"


async def test_another_subject_than_the_named_one_may_switch_and_isnt_told_who_that_is(
    platform: Platform, bank: PartnerProgram
):
    named = details(SCENARIO, subject={"identifier": IDENTIFIERS["person-a"]})
    subject = platform.subject()
    page = await subject.open(bank, await pushed(bank, authorization_details=named))
    theirs_not = await subject.sign_in(page, "person-b")
    assert "示例居民乙" in theirs_not.text
    assert "示例居民甲" not in theirs_not.text
    back_at_sign_in = await subject.follow(await subject.decide(theirs_not, "switch"))
    consent = await subject.sign_in(back_at_sign_in, "person-a")
    assert "code" in answer(await subject.decide(consent, "agree"))


async def test_who_switches_is_signed_out_and_comes_back_to_the_same_request(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    consent = await subject.sign_in(await subject.open(bank, await pushed(bank)), "person-a")
    old = subject.http.cookies["xinyi_session"]
    page = await subject.follow(await subject.decide(consent, "switch"))
    assert "xinyi_session" not in subject.http.cookies
    assert {"person-a", "person-b"} <= set(forms(page)[0].buttons["persona"])
    consent = await subject.sign_in(page, "person-b")
    assert "示例居民乙" in consent.text
    assert "code" in answer(await subject.decide(consent, "agree"))
    subject.http.cookies.set("xinyi_session", old)
    assert (await subject.http.get("/v1/me/session")).status_code == 401


async def test_switching_needs_the_forms_token(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    consent = await subject.sign_in(await subject.open(bank, await pushed(bank)), "person-a")
    assert (await subject.submit(forms(consent)[-1], decision="switch", csrf=ABSENT)).status_code == 403
    assert (await subject.http.get("/v1/me/session")).status_code == 200


async def test_the_named_subject_can_agree(platform: Platform, bank: PartnerProgram):
    named = details(SCENARIO, subject={"identifier": IDENTIFIERS["person-a"], "kind": "natural_person"})
    code = await platform.subject().agree(bank, await pushed(bank, authorization_details=named), "person-a")
    assert (await bank.redeem(code)).status_code == 200


async def test_only_subjects_of_the_scenarios_kind_are_offered(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    page = await subject.open(bank, await pushed(bank))
    assert "company-a" not in forms(page)[0].buttons["persona"]
    await subject.sign_in(page, "company-a")
    again = await subject.open(bank, await pushed(bank))
    assert "person-a" in forms(again)[0].buttons["persona"]
    assert answer(await subject.submit(forms(again)[-1]))["error"] == "access_denied"


async def test_a_flow_that_arrived_in_time_has_half_an_hour(platform: Platform, bank: PartnerProgram):
    request_uri = await pushed(bank)
    platform.clock.advance(timedelta(seconds=89))
    subject = platform.subject()
    page = await subject.open(bank, request_uri)
    platform.clock.advance(timedelta(minutes=29, seconds=59))
    consent = await subject.sign_in(page, "person-a")
    assert consent.status_code == 200
    platform.clock.advance(timedelta(seconds=1))
    assert (await subject.decide(consent, "agree")).status_code == 400


async def test_a_flow_belongs_to_the_browser_that_brought_it(platform: Platform, bank: PartnerProgram):
    request_uri = await pushed(bank)
    assert (await platform.subject().open(bank, request_uri)).status_code == 200
    other = await platform.subject().open(bank, request_uri)
    assert other.status_code == 400
    assert "csrf" not in other.text


@pytest.mark.parametrize(
    "query",
    [
        "",
        "response_type=code&client_id={client}&redirect_uri=https://partner.example/back&state=x",
        "client_id={client}&request_uri=urn:ietf:params:oauth:request_uri:nothing",
        "client_id={client}&request_uri={uri}&request_uri={uri}",
        "client_id={client}&client_id={client}&request_uri={uri}",
        "client_id={client}&request_uri=%ff",
        "client_id=&request_uri={uri}",
    ],
)
async def test_what_wasnt_pushed_leads_nowhere(platform: Platform, bank: PartnerProgram, query: str):
    query = query.format(client=bank.id, uri=await pushed(bank))
    response = await platform.subject().http.get(f"/oauth2/authorize?{query}")
    assert (response.status_code, "location" in response.headers) == (400, False)
    assert response.headers["content-type"].startswith("text/html")


async def test_only_what_was_pushed_counts(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    uri = await pushed(bank, state=ABSENT)
    query = {"client_id": bank.id, "request_uri": uri, "state": "outside", "redirect_uri": "https://evil.example/"}
    page = await subject.http.get("/oauth2/authorize", params=query)
    back = await subject.submit(forms(page)[-1])
    assert answer(back) == {"error": "access_denied", "iss": ISSUER}


async def test_a_redirect_uri_keeps_its_query(platform: Platform):
    bank = await platform.partner(SCENARIO, redirect_uris=["https://partner.example/back?case=1"])
    subject = platform.subject()
    page = await subject.open(bank, await pushed(bank, redirect_uri="https://partner.example/back?case=1"))
    back = await subject.submit(forms(page)[-1])
    assert urlsplit(back.headers["location"]).query.startswith("case=1&error=access_denied&")


async def test_pages_of_the_flow_may_end_at_the_partner_and_nowhere_else(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    page = await subject.open(bank, await pushed(bank))
    consent = await subject.sign_in(page, "person-a")
    for response in (page, consent):
        policy = response.headers["content-security-policy"]
        assert "form-action 'self' https://partner.example" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("token", [ABSENT, "x", "é"])
async def test_a_form_without_its_token_decides_nothing(platform: Platform, bank: PartnerProgram, token: object):
    subject = platform.subject()
    consent = await subject.sign_in(await subject.open(bank, await pushed(bank)), "person-a")
    form = forms(consent)[-1]
    assert (await subject.submit(form, decision="agree", csrf=token)).status_code == 403
    assert (await subject.decide(consent, "agree")).status_code == 303


async def test_a_forms_token_is_for_its_own_request(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    first = await subject.sign_in(await subject.open(bank, await pushed(bank)), "person-a")
    second = await subject.open(bank, await pushed(bank))
    token = forms(first)[-1].fields["csrf"]
    assert (await subject.submit(forms(second)[-1], decision="agree", csrf=token)).status_code == 403


async def test_only_what_was_shown_can_be_agreed_to(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    consent = await subject.sign_in(await subject.open(bank, await pushed(bank)), "person-a")
    shown_again = await subject.submit(forms(consent)[-1], decision="agree", notice="sha-256:other")
    assert shown_again.status_code == 200
    assert (await subject.decide(shown_again, "agree")).status_code == 303


@pytest.mark.parametrize("decision", [ABSENT, "yes"])
async def test_silence_is_no_consent(platform: Platform, bank: PartnerProgram, decision: object):
    subject = platform.subject()
    consent = await subject.sign_in(await subject.open(bank, await pushed(bank)), "person-a")
    assert (await subject.submit(forms(consent)[-1], decision=decision)).status_code == 400
    assert await consent_state(platform, bank) == "awaiting_authorisation"


async def test_nobody_agrees_without_signing_in(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    page = await subject.open(bank, await pushed(bank))
    assert (await subject.submit(forms(page)[-1], decision="agree")).status_code == 400


async def test_signing_in_ends_the_session_that_was_there(platform: Platform, bank: PartnerProgram):
    subject = platform.subject()
    page = await subject.http.get("/sign-in", params={"next": "/me"})
    await subject.sign_in(page, "person-a")
    old = subject.http.cookies["xinyi_session"]
    await subject.sign_in(page, "person-b")
    assert subject.http.cookies["xinyi_session"] != old
    subject.http.cookies.set("xinyi_session", old)
    uri = await pushed(bank)
    assert "person-a" in forms(await subject.open(bank, uri))[0].buttons.get("persona", [])


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\tx",
        "/me?" + "x" * 1024,  # it would be kept for a quarter of an hour, for anybody
        "",
    ],
    ids=lambda path: path[:24],
)
async def test_signing_in_leads_nowhere_else(platform: Platform, path: str):
    subject = platform.subject()
    page = await subject.http.get("/sign-in", params={"next": path})
    response = await subject.submit(forms(page)[0], persona="person-a", next=path or ABSENT)
    assert (response.status_code, response.headers["location"]) == (303, "/me")


async def test_a_sign_in_form_without_its_token_signs_nobody_in(platform: Platform):
    subject = platform.subject()
    page = await subject.http.get("/sign-in")
    assert (await subject.submit(forms(page)[0], persona="person-a", csrf="x")).status_code == 403
    other = platform.subject()
    assert (await other.submit(forms(page)[0], persona="person-a")).status_code == 403
    assert (await subject.submit(forms(page)[0], persona="nobody")).status_code == 404


async def test_personas_do_not_exist_outside_the_sandbox(tmp_path: Path, pair: Pair):
    settings = pair.settings(tmp_path, **PRODUCTION)
    fresh_keys(settings.keys_dir, settings.environment)
    app = create_app(settings, ManualClock())
    async with app.lifespan():
        http = browser_of(app, settings.issuer)
        page = await http.get("/sign-in")
        assert page.status_code == 200
        assert "identity.example" in page.text
        assert not any(persona.name.zh in page.text or persona.id in page.text for persona in personas())
        assert (await http.post("/sign-in", data={"persona": "person-a"})).status_code == 405
        assert list(http.cookies) == ["__Host-xinyi_browser"]

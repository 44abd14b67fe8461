"""Pushed requests, codes and tokens: what is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from anyio import create_task_group
from sqlalchemy import select

from tests.support.oauth import (
    ABSENT,
    ASSERTION_TYPE,
    CHALLENGE,
    VERIFIER,
    PartnerProgram,
    Platform,
    details,
    running_platform,
    without_numbers,
)
from tests.support.pairs import Pair
from xinyi.consents.tables import consents
from xinyi.oauth.authorization_details import GrantedDetail
from xinyi.web.principal import Scope

pytestmark = pytest.mark.anyio

SCENARIO = "personal-loan"
TWO_DETAILS = f"{details(SCENARIO)[:-1]},{details(SCENARIO)[1:]}"
PATH = "/v1/consents/cns_00000000000000000000000000"


@pytest.fixture
async def bank(platform: Platform) -> PartnerProgram:
    return await platform.partner(SCENARIO, "microloan-prescreen")


async def code_for(platform: Platform, bank: PartnerProgram, **form: Any) -> str:
    pushed = await bank.par(SCENARIO, **form)
    return await platform.subject().agree(bank, pushed.json()["request_uri"], "person-a")


def error(response: httpx.Response) -> str:
    assert response.status_code == 400, response.text
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["cache-control"] == "no-store"
    return str(response.json()["error"])


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"redirect_uri": "https://partner.example/back/more"}, "invalid_request"),
        ({"redirect_uri": "https://partner.example/back?more"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/back"}, "invalid_request"),
        ({"redirect_uri": ABSENT}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ABSENT}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": ABSENT}, "invalid_request"),
        ({"code_challenge_method": ABSENT}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "A"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "checks records"}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"state": "bell\x07"}, "invalid_request"),
        ({"state": "x" * 4097}, "invalid_request"),
        ({"state": "nul\0"}, "invalid_request"),
        ({"authorization_details": ABSENT}, "invalid_request"),
        ({"authorization_details": "scenario"}, "invalid_authorization_details"),
        ({"authorization_details": "{}"}, "invalid_authorization_details"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        (
            {"authorization_details": TWO_DETAILS},
            "invalid_authorization_details",
        ),
        ({"authorization_details": details(SCENARIO, type="other")}, "invalid_authorization_details"),
        ({"authorization_details": details(SCENARIO, more=1)}, "invalid_authorization_details"),
        ({"authorization_details": details(SCENARIO, version=0)}, "invalid_authorization_details"),
        ({"authorization_details": details(SCENARIO, version="1")}, "invalid_authorization_details"),
        ({"authorization_details": details(SCENARIO, version=99)}, "invalid_authorization_details"),
        ({"authorization_details": details(SCENARIO, subject="x")}, "invalid_authorization_details"),
        ({"authorization_details": details(SCENARIO, subject={})}, "invalid_authorization_details"),
        ({"authorization_details": details(SCENARIO, subject={"identifier": "1"})}, "invalid_authorization_details"),
        (
            {"authorization_details": details(SCENARIO, subject={"identifier": "9144030071526726XG"})},
            "invalid_authorization_details",
        ),
        ({"authorization_details": "[" * 2000}, "invalid_authorization_details"),
    ],
)
async def test_pushed_requests_that_are_refused(bank: PartnerProgram, form: dict[str, Any], code: str):
    assert error(await bank.par(SCENARIO, **form)) == code


async def test_a_sandbox_asks_nobody_real(bank: PartnerProgram):
    refused = await bank.par(
        SCENARIO, authorization_details=details(SCENARIO, subject={"identifier": "11010519491231002X"})
    )
    assert error(refused) == "invalid_authorization_details"
    assert "synthetic subjects only" in refused.json()["error_description"]


async def test_a_refused_identifier_is_not_repeated(bank: PartnerProgram):
    named = details(SCENARIO, subject={"identifier": "110105194912310029"})
    assert "110105194912310029" not in (await bank.par(SCENARIO, authorization_details=named)).text


async def test_scenarios_of_others_look_like_none(bank: PartnerProgram):
    others = await bank.par("bike-deposit")
    none = await bank.par("no-such-thing")
    assert error(others) == "invalid_authorization_details"
    assert without_numbers(others) == without_numbers(none)


async def test_a_source_asks_for_no_consents(platform: Platform):
    source = await platform.source()
    assert error(await source.par(SCENARIO)) == "unauthorized_client"


async def test_parameters_stand_once(bank: PartnerProgram):
    for path in ("/oauth2/par", "/oauth2/token"):
        pairs = [
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", bank.assertion()),
            ("grant_type", "client_credentials"),
            ("scope", "checks"),
            ("scope", "checks"),
        ]
        response = await bank.http.post(
            path,
            content=urlencode(pairs),
            headers={"content-type": "application/x-www-form-urlencoded", "dpop": bank.proof("POST", path)},
        )
        assert error(response) == "invalid_request"


@pytest.mark.parametrize("path", ["/oauth2/par", "/oauth2/token"])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"grant_type=client_credentials", "text/plain"),
        (b"grant_type=client_credentials", "multipart/form-data; boundary=x"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"grant_type=\xff", "application/x-www-form-urlencoded"),
        (b"grant_type", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(100)), "application/x-www-form-urlencoded"),
    ],
)
async def test_only_plain_forms_are_read(bank: PartnerProgram, path: str, body: bytes, content_type: str):
    assert error(await bank.http.post(path, content=body, headers={"content-type": content_type})) == "invalid_request"


@pytest.mark.parametrize("path", ["/oauth2/par", "/oauth2/token", "/oauth2/authorize", "/sign-in"])
@pytest.mark.parametrize("size", [64 * 1024, 1024 * 1024])
async def test_forms_are_bounded(bank: PartnerProgram, path: str, size: int):
    response = await bank.http.post(path, data={"state": "x" * size})
    assert response.status_code == 413


@pytest.mark.parametrize("path", ["/oauth2/par", "/oauth2/token"])
async def test_only_post_is_taken(bank: PartnerProgram, path: str):
    for method in ("GET", "PUT", "DELETE"):
        assert (await bank.http.request(method, path)).status_code == 405


async def test_nobody_pushes_without_proving_who_they_are(bank: PartnerProgram):
    assert error(await bank.par(SCENARIO, client_assertion=ABSENT, client_assertion_type=ABSENT)) == "invalid_client"
    stranger = bank.assertion(key=bank.key.generate_key("P-256"))
    assert error(await bank.par(SCENARIO, assertion=stranger)) == "invalid_client"


async def test_an_empty_form_is_from_no_client(bank: PartnerProgram):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert error(await bank.http.post("/oauth2/token", headers=headers)) == "invalid_client"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"grant_type": ABSENT}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"scope": "records"}, "invalid_scope"),
        ({"scope": "checks  consents"}, "invalid_scope"),
        ({"scope": "checks admin"}, "invalid_scope"),
        ({"authorization_details": details(SCENARIO)}, "invalid_authorization_details"),
    ],
)
async def test_client_credentials_that_are_refused(bank: PartnerProgram, form: dict[str, Any], code: str):
    assert error(await bank.credentials(**form)) == code


async def test_a_client_may_ask_for_a_part_of_its_scopes(platform: Platform, bank: PartnerProgram):
    assert (await bank.credentials()).json()["scope"] == "checks consents partner"
    narrow = (await bank.credentials(scope="partner")).json()
    assert narrow["scope"] == "partner"
    response = await bank.call("GET", PATH, narrow["access_token"])
    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
    source = await platform.source()
    assert (await source.credentials()).json()["scope"] == "records"


async def test_a_wrong_verifier_spends_the_code(platform: Platform, bank: PartnerProgram):
    for wrong in ("x" * 43, "short", VERIFIER + "é"):
        code = await code_for(platform, bank)
        assert error(await bank.redeem(code, code_verifier=wrong)) == "invalid_grant"
        assert error(await bank.redeem(code)) == "invalid_grant"


async def test_a_missing_verifier_spends_the_code(platform: Platform, bank: PartnerProgram):
    code = await code_for(platform, bank)
    assert error(await bank.redeem(code, code_verifier=ABSENT)) == "invalid_request"
    assert error(await bank.redeem(code)) == "invalid_grant"


async def test_a_code_is_bound_to_its_redirect_uri(platform: Platform):
    uris = ["https://partner.example/back", "https://partner.example/other"]
    bank = await platform.partner(SCENARIO, redirect_uris=uris)
    code = await code_for(platform, bank)
    assert error(await bank.redeem(code, redirect_uri=uris[1])) == "invalid_grant"


@pytest.mark.parametrize(("seconds", "status"), [(59, 200), (60, 400), (61, 400)])
async def test_a_code_lives_a_minute(platform: Platform, bank: PartnerProgram, seconds: int, status: int):
    code = await code_for(platform, bank)
    platform.clock.advance(timedelta(seconds=seconds))
    assert (await bank.redeem(code)).status_code == status


async def test_a_code_that_comes_again_ends_what_it_gave(platform: Platform, bank: PartnerProgram):
    code = await code_for(platform, bank)
    token = (await bank.redeem(code)).json()["access_token"]
    assert (await bank.call("GET", PATH, token)).status_code == 404
    platform.clock.advance(timedelta(seconds=1))
    assert error(await bank.redeem(code)) == "invalid_grant"
    revoked = await bank.call("GET", PATH, token)
    assert (revoked.status_code, revoked.json()["code"]) == (401, "invalid_token")


async def test_a_code_works_once_though_sixteen_come_at_the_same_time(platform: Platform, bank: PartnerProgram):
    code = await code_for(platform, bank)
    answers: list[httpx.Response] = []

    async def send() -> None:
        answers.append(await bank.redeem(code))

    async with create_task_group() as group:
        for _ in range(16):
            group.start_soon(send)
    won = [each for each in answers if each.status_code == 200]
    assert len(won) == 1
    assert {error(each) for each in answers if each is not won[0]} == {"invalid_grant"}
    assert (await bank.call("GET", PATH, won[0].json()["access_token"])).status_code == 401


async def test_a_decision_is_made_once_though_sixteen_come_at_the_same_time(platform: Platform, bank: PartnerProgram):
    pushed = await bank.par(SCENARIO)
    subject = platform.subject()
    consent = await subject.sign_in(await subject.open(bank, pushed.json()["request_uri"]), "person-a")
    answers: list[httpx.Response] = []

    async def send() -> None:
        answers.append(await subject.decide(consent, "agree"))

    async with create_task_group() as group:
        for _ in range(16):
            group.start_soon(send)
    codes = [each for each in answers if "code=" in each.headers.get("location", "")]
    assert len(codes) == 1


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"scope": "checks consents"}, "invalid_scope"),
        ({"authorization_details": details("microloan-prescreen")}, "invalid_authorization_details"),
        ({"code": ABSENT}, "invalid_request"),
        ({"redirect_uri": ABSENT}, "invalid_request"),
        ({"code": "no-such-code"}, "invalid_grant"),
    ],
)
async def test_what_was_consented_to_is_not_widened(
    platform: Platform, bank: PartnerProgram, form: dict[str, Any], code: str
):
    given = await code_for(platform, bank)
    assert error(await bank.redeem(**{"code": given, **form})) == code


async def test_a_consent_given_up_before_the_code_is_redeemed_gives_no_token(platform: Platform, bank: PartnerProgram):
    code = await code_for(platform, bank)
    consent_id = await only_consent(platform, bank)
    given_up = await bank.call("DELETE", f"/v1/consents/{consent_id}", await bank.token())
    assert given_up.is_success
    assert error(await bank.redeem(code)) == "invalid_grant"


async def checked(bank: PartnerProgram, token: dict[str, Any], scenario: str = SCENARIO) -> tuple[int, str]:
    """The status and the code of a check with the token of a consent."""
    consent_id = token["authorization_details"][0]["consent_id"]
    request = {"scenario": scenario, "consent_id": consent_id, "reference": "LOAN-1"}
    response = await bank.call("POST", "/v1/checks", token["access_token"], json=request)
    return response.status_code, response.json().get("code", "")


async def test_a_token_of_one_scenario_is_none_of_another(platform: Platform, bank: PartnerProgram):
    token = (await bank.redeem(await code_for(platform, bank))).json()
    assert await checked(bank, token, "microloan-prescreen") == (403, "scenario_mismatch")
    assert await checked(bank, token) == (200, "")


async def test_a_token_is_worth_nothing_once_the_consent_is_given_up(platform: Platform, bank: PartnerProgram):
    token = (await bank.redeem(await code_for(platform, bank))).json()
    consent_id = token["authorization_details"][0]["consent_id"]
    assert (await bank.call("DELETE", f"/v1/consents/{consent_id}", await bank.token())).is_success
    assert await checked(bank, token) == (403, "consent_withdrawn")


async def test_a_token_is_worth_nothing_at_the_moment_the_consent_ends(platform: Platform, bank: PartnerProgram):
    await code_for(platform, bank)
    async with platform.service("database").read() as tx:
        query = select(consents.c.expires_at).where(consents.c.client_id == bank.id)
        ends = (await tx.execute(query)).scalar_one()
        left = ends - platform.clock.now()
    platform.clock.advance(left - timedelta(seconds=1))
    bound = platform.service("oauth").tokens.issue
    detail = GrantedDetail("credit_scenario_check", SCENARIO, 1, await only_consent(platform, bank))
    token = {
        "access_token": bound(bank.client, [Scope.CHECKS], bank.dpop_key.thumbprint(), detail=detail, family="f"),
        "authorization_details": [{"consent_id": detail.consent_id}],
    }
    platform.clock.advance(timedelta(seconds=1))
    assert await checked(bank, token) == (403, "consent_expired")


async def only_consent(platform: Platform, bank: PartnerProgram) -> str:
    """The id of the only consent that the bank has."""
    async with platform.service("database").read() as tx:
        return str((await tx.execute(select(consents.c.id).where(consents.c.client_id == bank.id))).scalar_one())


@pytest.mark.parametrize("change", ["expired", "bent", "cut", "foreign", "nothing"])
async def test_tokens_that_are_refused(platform: Platform, bank: PartnerProgram, change: str):
    token = await bank.token()
    if change == "expired":
        assert (await bank.call("GET", PATH, token)).status_code == 404
        platform.clock.advance(timedelta(minutes=5))
    head, _, tail = token.rpartition(".")
    bent = {
        "expired": token,
        "bent": head + "." + tail[::-1],
        "cut": head,
        "foreign": bank.assertion(header={"typ": "at+jwt"}),
        "nothing": "",
    }[change]
    response = await bank.call("GET", PATH, bent)
    assert (response.status_code, response.json()["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_two_authorization_headers_are_refused(bank: PartnerProgram):
    token = await bank.token()
    headers = [("authorization", f"DPoP {token}")] * 2 + [("dpop", bank.proof("GET", PATH, token=token))]
    assert (await bank.http.get(PATH, headers=headers)).status_code == 401


async def test_tokens_older_than_what_is_known_about_revoked_ones_are_refused(tmp_path: Path, pair: Pair):
    async with running_platform(tmp_path, pair) as before:
        bank = await before.partner(SCENARIO)
        token = await bank.token()
    before.clock.advance(timedelta(seconds=1))
    pair.forget(tmp_path)
    async with running_platform(tmp_path, pair, before.clock) as after:
        bank.http = after.http
        after.clock.advance(timedelta(seconds=2))
        response = await bank.call("GET", PATH, token)
        assert (response.status_code, response.json()["code"]) == (401, "invalid_token")
        assert (await bank.call("GET", PATH, await bank.token())).status_code == 404

"""``/v1/checks``, over HTTP with real tokens, proofs and consents."""

from typing import Any

import httpx
import pytest

from tests.support.oauth import PartnerProgram, Platform, without_numbers

SCENARIO = "microloan-prescreen"


@pytest.fixture
async def bank(platform: Platform) -> PartnerProgram:
    return await platform.partner(SCENARIO, "trade-finance")


@pytest.fixture
async def bound(platform: Platform, bank: PartnerProgram) -> dict[str, Any]:
    """The token response after company A agreed: the token is bound to that consent."""
    request_uri = (await bank.par(SCENARIO)).json()["request_uri"]
    response = await bank.redeem(await platform.subject().agree(bank, request_uri, "company-a"))
    return dict(response.json())


@pytest.fixture
def consent_id(bound: dict[str, Any]) -> str:
    return str(bound["authorization_details"][0]["consent_id"])


def question(consent_id: str, **changes: Any) -> dict[str, Any]:
    return {"scenario": SCENARIO, "consent_id": consent_id, "reference": "LOAN-2026-000123", **changes}


async def ask(bank: PartnerProgram, token: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"idempotency-key": key}
    return await bank.call("POST", "/v1/checks", token, json=body, headers=headers)


async def test_an_answer_is_data_and_a_receipt(bank: PartnerProgram, consent_id: str) -> None:
    response = await ask(bank, await bank.token(), question(consent_id))

    assert response.status_code == 200
    assert set(response.json()) == {"data", "receipt"}
    assert set(response.json()["data"]) == {
        "id",
        "scenario",
        "subject",
        "outcome",
        "criteria",
        "disclosed",
        "salts",
        "as_of",
        "valid_until",
        "consent_expires_at",
    }
    assert response.json()["receipt"].startswith("eyJ")
    assert response.json()["receipt"].count("~") == 2
    assert response.headers["cache-control"] == "no-store"


async def test_the_same_check_can_be_read_again_to_the_byte(bank: PartnerProgram, consent_id: str) -> None:
    token = await bank.token()
    first = await ask(bank, token, question(consent_id))
    path = f"/v1/checks/{first.json()['data']['id']}"

    again = await bank.call("GET", path, token)
    receipt = await bank.call("GET", f"{path}/receipt", token)

    assert again.content == first.content
    assert receipt.json() == {"receipt": first.json()["receipt"]}


async def test_the_same_idempotency_key_gives_the_same_bytes(bank: PartnerProgram, consent_id: str) -> None:
    token = await bank.token()
    first = await ask(bank, token, question(consent_id), "key-1")
    again = await ask(bank, token, question(consent_id), "key-1")
    other = await ask(bank, token, question(consent_id, reference="LOAN-2"), "key-1")

    assert again.content == first.content
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_token_that_a_subject_gave_carries_its_own_consent_and_no_other(
    platform: Platform, bank: PartnerProgram, bound: dict[str, Any], consent_id: str
) -> None:
    request_uri = (await bank.par(SCENARIO)).json()["request_uri"]
    other = (await bank.redeem(await platform.subject().agree(bank, request_uri, "company-b"))).json()

    own = await ask(bank, bound["access_token"], question(consent_id))
    foreign = await ask(bank, other["access_token"], question(consent_id))
    elsewhere = await bank.call("GET", f"/v1/checks/{own.json()['data']['id']}", other["access_token"])

    assert own.status_code == 200
    assert foreign.status_code == elsewhere.status_code == 404


async def test_a_refusal_names_what_it_left_behind(bank: PartnerProgram, consent_id: str) -> None:
    token = await bank.token()
    refused = await ask(bank, token, question(consent_id, scenario="trade-finance"))

    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["code"] == "scenario_mismatch"
    assert problem["instance"].startswith("/v1/checks/chk_")
    again = await bank.call("GET", problem["instance"], token)
    assert (again.status_code, again.json()) == (403, problem)


async def test_what_is_anothers_is_what_does_not_exist(
    platform: Platform, bank: PartnerProgram, consent_id: str
) -> None:
    check_id = (await ask(bank, await bank.token(), question(consent_id))).json()["data"]["id"]
    stranger = await platform.partner(SCENARIO)
    token = await stranger.token()

    async def get(path: str) -> httpx.Response:
        return await stranger.call("GET", path, token)

    for foreign, absent in (
        (await get(f"/v1/checks/{check_id}"), await get(f"/v1/checks/{check_id[:-3]}zzz")),
        (await get(f"/v1/checks/{check_id}/receipt"), await get(f"/v1/checks/{check_id[:-3]}zzz/receipt")),
        (
            await ask(stranger, token, question(consent_id)),
            await ask(stranger, token, question(consent_id[:-3] + "zzz")),
        ),
    ):
        assert foreign.status_code == 404
        number = foreign.headers["x-fapi-interaction-id"]
        other = absent.headers["x-fapi-interaction-id"]
        assert without_numbers(foreign)[:2] == without_numbers(absent)[:2]
        assert foreign.text.replace(number, other) == absent.text


@pytest.mark.parametrize(
    ("body", "status", "code", "source"),
    [
        ({}, 422, "invalid", "/scenario"),
        ({"reference": ""}, 422, "invalid", "/reference"),
        ({"reference": "a\x00b"}, 422, "invalid", "/reference"),
        ({"reference": "x" * 129}, 422, "invalid", "/reference"),
        ({"reference": 7}, 422, "invalid", "/reference"),
        ({"identifier": "11010519491231002X"}, 422, "invalid", "/identifier"),
        ({"consent_id": "cns_unknown"}, 404, "not_found", "/consent_id"),
    ],
)
async def test_what_is_wrong_with_a_question_is_pointed_at(
    bank: PartnerProgram, consent_id: str, body: dict[str, Any], status: int, code: str, source: str | None
) -> None:
    sent = {**question(consent_id), **body} if body else body

    response = await ask(bank, await bank.token(), sent)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json().get("source") == source
    assert "11010519491231002X" not in response.text


@pytest.mark.parametrize("reference", ["例-2026-123", "🚲", "‮RTL‬", "a/b?c=d&e", "   ", "'; DROP TABLE checks; --"])
async def test_a_reference_is_stored_as_given_and_never_interpreted(
    bank: PartnerProgram, consent_id: str, reference: str
) -> None:
    token = await bank.token()

    first = await ask(bank, token, question(consent_id, reference=reference), "key-1")
    again = await ask(bank, token, question(consent_id, reference=reference), "key-1")

    assert first.status_code == 200
    assert again.content == first.content


async def test_without_the_scope_checks_nothing_is_asked(bank: PartnerProgram, consent_id: str) -> None:
    token = (await bank.credentials(scope="consents")).json()["access_token"]

    response = await ask(bank, token, question(consent_id))

    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")

"""From a check to an answer that can be proved."""

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

import xinyi_sdk
from tests.sdk.conftest import MakeClient, result
from tests.sdk.platform import CONSENT, Platform, answering, dropping, problem

ASK = {"scenario": "microloan-prescreen", "consent_id": CONSENT, "reference": "LOAN-2026-000123"}


async def test_an_answer_says_what_was_disclosed(client: Any) -> None:
    answer = await result(client.checks.create(**ASK))
    assert answer.met
    assert answer.outcome == xinyi_sdk.Outcome.MET
    assert answer.criteria["tax-on-time"].met
    assert answer.disclosed == {"tax-rating": {"grade": "A"}}
    assert answer.scenario.version == 1
    assert answer.valid_until == datetime(2026, 12, 2, 8, tzinfo=UTC)


async def test_not_evidenced_is_an_answer_and_no_error(client: Any, platform: Platform) -> None:
    platform.met = False
    answer = await result(client.checks.create(**ASK))
    assert not answer.met
    assert not answer.criteria["tax-on-time"].met
    assert answer.disclosed == {}


async def test_an_answers_receipt_verifies_offline(client: Any, platform: Platform) -> None:
    answer = await result(client.checks.create(**ASK))
    before = len(platform.requests)
    verified = answer.receipt.verify(reference=ASK["reference"])
    assert verified.id == answer.id
    assert verified.met
    assert len(platform.requests) == before


async def test_an_answer_is_worth_keeping_even_if_the_logs_keys_cant_be_fetched(
    make_client: MakeClient, platform: Platform
) -> None:
    client = make_client()
    platform.fail("/v1/ledger/jwks", dropping)
    answer = await result(client.checks.create(**ASK))
    await result(client.checks.create(**ASK))
    assert platform.time.slept == []
    assert platform.paths().count("/v1/ledger/jwks") == 1, "answers don't wait for keys again and again"
    with pytest.raises(xinyi_sdk.ReceiptInvalid, match=r"client\.ledger\.jwks"):
        answer.receipt.verify()
    await result(client.ledger.jwks())
    assert answer.receipt.verify().id == answer.id


async def test_the_logs_keys_are_fetched_once_and_again_for_a_new_key(client: Any, platform: Platform) -> None:
    await result(client.checks.create(**ASK))
    await result(client.checks.create(**ASK))
    await result(client.ledger.jwks())
    assert platform.paths().count("/v1/ledger/jwks") == 1
    platform.log.key = platform.log.key.generate_key("P-256", auto_kid=True)
    platform.time.seconds += 61
    answer = await result(client.checks.create(**ASK))
    assert platform.paths().count("/v1/ledger/jwks") == 2
    assert answer.receipt.verify().id == answer.id


async def test_an_earlier_answer_and_its_receipt_can_be_had_again(client: Any) -> None:
    answer = await result(client.checks.create(**ASK))
    assert await result(client.checks.get(answer.id)) == answer
    assert await result(client.checks.receipt(answer.id)) == answer.receipt


async def test_a_kept_answer_still_guards_its_receipt(client: Any) -> None:
    answer = await result(client.checks.create(**ASK))
    kept = pickle.loads(pickle.dumps(answer))  # noqa: S301 - our own bytes
    assert kept == answer
    jwks = await result(client.ledger.jwks())
    assert kept.receipt.verify(jwks=jwks).id == answer.id
    changed = msgspec.structs.replace(kept, outcome="not_evidenced")
    with pytest.raises(xinyi_sdk.ReceiptInvalid, match="outcome"):
        xinyi_sdk.verify_receipt(kept.receipt, jwks, answer=changed)


async def test_an_archived_answer_verifies_years_later(client: Any, platform: Platform) -> None:
    answer = await result(client.checks.create(**ASK))
    archived = json.loads(answer.to_json())
    original = platform.effects[platform.requests[-2].headers["idempotency-key"]]
    assert archived["data"].items() <= original["data"].items()
    verified = xinyi_sdk.verify_receipt(archived["receipt"], platform.log.jwks, answer=archived)
    assert verified.id == answer.id


async def test_words_that_this_version_doesnt_know_survive(client: Any, platform: Platform) -> None:
    platform.consent_state = "under_review"
    consent = await result(client.consents.get(CONSENT))
    assert consent.state == "under_review"
    assert not consent.usable


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("consent_paused", xinyi_sdk.ConsentPaused),
        ("consent_withdrawn", xinyi_sdk.ConsentWithdrawn),
        ("consent_expired", xinyi_sdk.ConsentExpired),
        ("consent_consumed", xinyi_sdk.ConsentConsumed),
        ("consent_outdated", xinyi_sdk.ConsentOutdated),
        ("scenario_mismatch", xinyi_sdk.ScenarioMismatch),
        ("not_entitled", xinyi_sdk.NotEntitled),
        ("partner_suspended", xinyi_sdk.PartnerSuspended),
        ("insufficient_scope", xinyi_sdk.PermissionDenied),
        ("a_code_of_next_year", xinyi_sdk.PermissionDenied),
    ],
)
async def test_a_refusal_is_an_error_by_meaning(
    client: Any, platform: Platform, code: str, error: type[xinyi_sdk.APIError]
) -> None:
    platform.fail("/v1/checks", answering(403, code))
    with pytest.raises(error) as caught:
        await result(client.checks.create(**ASK))
    assert type(caught.value) is error
    assert caught.value.code == code
    assert caught.value.status == 403
    assert caught.value.hint
    assert caught.value.request_id == platform.requests[-1].headers["x-fapi-interaction-id"]
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, xinyi_sdk.InvalidRequest),
        (404, xinyi_sdk.NotFound),
        (409, xinyi_sdk.WrongState),
        (422, xinyi_sdk.InvalidRequest),
        (501, xinyi_sdk.Unavailable),
        (302, xinyi_sdk.APIError),
    ],
)
async def test_a_status_without_a_known_code_still_has_its_error(
    client: Any, platform: Platform, status: int, error: type[xinyi_sdk.APIError]
) -> None:
    platform.fail("/v1/checks", answering(status, "new"))
    with pytest.raises(error) as caught:
        await result(client.checks.create(**ASK))
    assert type(caught.value) is error


async def test_an_error_survives_pickling(client: Any, platform: Platform) -> None:
    platform.fail("/v1/checks", answering(429, "rate_limited", retry_after="600"))
    with pytest.raises(xinyi_sdk.RateLimited) as caught:
        await result(client.checks.create(**ASK))
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (type(copy), str(copy), copy.retry_after) == (xinyi_sdk.RateLimited, str(caught.value), 600)


async def test_an_answer_from_something_else_isnt_mistaken_for_one(client: Any, platform: Platform) -> None:
    platform.fail("/v1/checks", lambda _: problem(200, "met"))
    with pytest.raises(xinyi_sdk.InvalidResponse):
        await result(client.checks.create(**ASK))


async def test_an_id_from_elsewhere_cant_reach_another_resource(client: Any, platform: Platform) -> None:
    with pytest.raises(xinyi_sdk.NotFound):
        await result(client.checks.get("../scenarios?x=#"))
    assert platform.requests[-1].url.raw_path == b"/v1/checks/..%2Fscenarios%3Fx%3D%23"
    with pytest.raises(ValueError, match="an id"):
        await result(client.checks.get(".."))


async def test_scenarios_are_public(client: Any, platform: Platform) -> None:
    (summary,) = await result(client.scenarios.list())
    scenario = await result(client.scenarios.get(summary.id))
    assert await result(client.scenarios.get(summary.id, version=1)) == scenario
    assert summary.name.zh == scenario.name.zh == "信易贷·小微企业预筛"
    assert scenario.criteria[0].max_age == timedelta(days=45)
    assert scenario.criteria[0].bands == {"months": (12, 24)}
    assert scenario.explanation["not_evidenced"].en == "Not evidenced"
    base = "/v1/scenarios/microloan-prescreen"
    assert platform.paths() == ["/v1/scenarios", base, f"{base}/versions/1"]


async def test_a_partner_can_give_a_consent_up(client: Any) -> None:
    assert (await result(client.consents.get(CONSENT))).usable
    consent = await result(client.consents.withdraw(CONSENT))
    assert consent.state == xinyi_sdk.ConsentState.WITHDRAWN
    assert consent.ended.by == "partner"
    with pytest.raises(xinyi_sdk.ConsentWithdrawn):
        await result(client.checks.create(**ASK))

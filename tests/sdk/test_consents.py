"""Sending a subject to the consent page and coming back."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

import xinyi_sdk
from tests.sdk.conftest import MakeClient, result
from tests.sdk.platform import CONSENT, Platform, answering, dropping
from xinyi_sdk import ConsentRequest, Subject

ASK = {"scenario": "microloan-prescreen", "redirect_uri": "https://bank.example/back?branch=7"}


async def test_a_subject_who_agrees_comes_back_as_a_consent(client: Any, platform: Platform) -> None:
    request = await result(client.consents.start(**ASK))
    consent = await result(client.consents.finish(platform.browse(request.url), request))
    assert consent.id == CONSENT
    assert consent.scenario.id == "microloan-prescreen"
    assert consent.expires_at == datetime(2027, 1, 31, 8, tzinfo=UTC)
    assert consent.usable
    assert platform.paths().count("/oauth2/token") == 1


async def test_a_consent_that_was_given_isnt_lost_when_it_cant_be_read(client: Any, platform: Platform) -> None:
    request = await result(client.consents.start(**ASK))
    platform.fail(f"/v1/consents/{CONSENT}", *[answering(503)] * 3)
    with pytest.raises(xinyi_sdk.ConsentUnread, match="keep the id") as caught:
        await result(client.consents.finish(platform.browse(request.url), request))
    assert caught.value.consent_id == CONSENT
    assert isinstance(caught.value.__cause__, xinyi_sdk.Unavailable)


@pytest.mark.parametrize(
    ("subject", "sent"),
    [
        ("92310000MA1FL0000X", {"identifier": "92310000MA1FL0000X"}),
        (
            Subject(identifier="92310000MA1FL0000X", kind="legal_person"),
            {"identifier": "92310000MA1FL0000X", "kind": "legal_person"},
        ),
    ],
)
async def test_a_request_is_for_one_scenario_and_may_say_who_can_grant_it(
    client: Any, platform: Platform, subject: Any, sent: Any
) -> None:
    assert "92310000MA1FL0000X" not in repr(subject) or isinstance(subject, str)
    await result(client.consents.start(**ASK, subject=subject, version=1))
    (pushed,) = platform.pushed.values()
    assert json.loads(pushed["authorization_details"]) == [
        {"type": "credit_scenario_check", "scenario": "microloan-prescreen", "version": 1, "subject": sent}
    ]


async def test_another_process_may_finish_what_this_one_began(make_client: MakeClient, platform: Platform) -> None:
    request = await result(make_client().consents.start(**ASK))
    text = request.to_json()
    back = platform.browse(request.url)
    consent = await result(make_client().consents.finish(back, ConsentRequest.from_json(text)))
    assert consent.id == CONSENT


async def test_a_fresh_consents_own_token_is_used_for_its_check(client: Any, platform: Platform) -> None:
    request = await result(client.consents.start(**ASK))
    consent = await result(client.consents.finish(platform.browse(request.url), request))
    await result(client.checks.create(scenario=consent.scenario.id, consent_id=consent.id, reference="A-1"))
    assert platform.paths().count("/oauth2/token") == 1
    platform.time.seconds += 300
    await result(client.checks.create(scenario=consent.scenario.id, consent_id=consent.id, reference="A-2"))
    assert platform.paths().count("/oauth2/token") == 2
    assert platform.paths().count("/v1/checks") == 2, "a token that is over isn't sent"


async def test_a_consents_dead_token_gives_way_to_the_clients(client: Any, platform: Platform) -> None:
    request = await result(client.consents.start(**ASK))
    consent = await result(client.consents.finish(platform.browse(request.url), request))
    platform.tokens.clear()
    await result(client.checks.create(scenario=consent.scenario.id, consent_id=consent.id, reference="A-1"))
    assert platform.paths().count("/oauth2/token") == 2


async def test_a_subject_may_refuse(client: Any, platform: Platform) -> None:
    request = await result(client.consents.start(**ASK))
    with pytest.raises(xinyi_sdk.ConsentRefused) as caught:
        await result(client.consents.finish(platform.browse(request.url, agree=False), request))
    assert caught.value.code == "access_denied"


async def test_another_error_of_the_redirect_is_no_refusal(client: Any, platform: Platform) -> None:
    request = await result(client.consents.start(**ASK))
    back = httpx.URL(platform.browse(request.url, agree=False)).copy_set_param("error", "server_error")
    with pytest.raises(xinyi_sdk.ConsentFailed) as caught:
        await result(client.consents.finish(str(back), request))
    assert type(caught.value) is xinyi_sdk.ConsentFailed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda url: url.copy_set_param("state", "x"), "state"),
        (lambda url: url.copy_remove_param("state"), "state"),
        (lambda url: url.copy_set_param("iss", "https://evil.example"), "iss"),
        (lambda url: url.copy_remove_param("iss"), "iss"),
        (lambda url: url.copy_remove_param("code"), "code"),
        (lambda url: url.copy_add_param("code", "second"), "twice"),
        (lambda url: url.copy_set_param("iss", "https://evil.example").copy_set_param("error", "access_denied"), "iss"),
    ],
)
async def test_a_callback_that_answers_something_else_is_refused_before_anything_is_sent(
    client: Any, platform: Platform, change: Any, why: str
) -> None:
    request = await result(client.consents.start(**ASK))
    back = change(httpx.URL(platform.browse(request.url)))
    before = len(platform.requests)
    with pytest.raises(xinyi_sdk.CallbackInvalid, match=why):
        await result(client.consents.finish(str(back), request))
    assert len(platform.requests) == before


@pytest.mark.parametrize("fault", [dropping, answering(503), answering(500, "internal")])
async def test_the_code_is_never_sent_twice(client: Any, platform: Platform, fault: Any) -> None:
    request = await result(client.consents.start(**ASK))
    platform.fail("/oauth2/token", fault)
    with pytest.raises((xinyi_sdk.ConnectionFailed, xinyi_sdk.Unavailable)):
        await result(client.consents.finish(platform.browse(request.url), request))
    assert platform.paths().count("/oauth2/token") == 1
    assert platform.time.slept == []


async def test_a_code_that_was_used_before_is_an_error(client: Any, platform: Platform) -> None:
    request = await result(client.consents.start(**ASK))
    back = platform.browse(request.url)
    await result(client.consents.finish(back, request))
    with pytest.raises(xinyi_sdk.AuthenticationError) as caught:
        await result(client.consents.finish(back, request))
    assert caught.value.code == "invalid_grant"


async def test_states_verifiers_and_keys_are_new_each_time(client: Any) -> None:
    first, second = [await result(client.consents.start(**ASK)) for _ in range(2)]
    assert first.state != second.state
    assert first.code_verifier != second.code_verifier
    assert first.proof_key != second.proof_key
    assert (await result(client.consents.start(**ASK, state="mine"))).state == "mine"


async def test_pushing_is_tried_again_with_a_fresh_assertion(client: Any, platform: Platform) -> None:
    platform.fail("/oauth2/par", answering(503), dropping)
    await result(client.consents.start(**ASK))
    assert platform.paths().count("/oauth2/par") == 3

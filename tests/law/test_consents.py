"""How a consent is asked for, changed, withdrawn and refused."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.oauth import Platform, details, running_platform
from tests.support.pairs import Embedded
from tests.support.world import Subject, World, ask
from xinyi.checks.model import Answered, Refused
from xinyi.consents.asking import Ask
from xinyi.consents.model import Party
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Language
from xinyi.ledger.checkpoint import CheckpointKeys
from xinyi.ledger.receipt import read_receipt
from xinyi.partners.model import Client
from xinyi.scenarios.registry import Registry
from xinyi.subjects.model import SubjectKind

SCENARIO = "bike-deposit"


@pytest.fixture
async def platform(tmp_path: Path, embedded: Embedded) -> AsyncGenerator[Platform]:
    async with running_platform(tmp_path, embedded) as platform:
        yield platform


async def test_l02_a_bundle_of_scenarios_is_refused(platform: Platform):
    bank = await platform.partner("personal-loan", "microloan-prescreen")
    bundle = f"{details('personal-loan')[:-1]},{details('microloan-prescreen')[1:]}"
    refused = await bank.par("personal-loan", authorization_details=bundle)
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_authorization_details"


@pytest.mark.parametrize(("days", "code"), [(999, Code.CONSENT_OUTDATED), (1, None)])
async def test_l03_a_version_that_widens_asks_again_and_one_that_narrows_does_not(
    world: World, person: Subject, bike: Client, monkeypatch: pytest.MonkeyPatch, days: int, code: Code | None
):
    consent = await world.consent(bike, SCENARIO, person)
    old = world.services.scenarios.get(SCENARIO)
    new = msgspec.structs.replace(old, version=2, retention_days=days)
    monkeypatch.setattr(world.services.checks, "_scenarios", Registry([old, new]))
    result = await world.check(ask(bike, consent))
    assert (result.code if isinstance(result, Refused) else None) is code


async def test_l04_a_withdrawal_is_at_once_and_earlier_receipts_stay_valid(world: World, person: Subject, bike: Client):
    consent = await world.consent(bike, SCENARIO, person)
    answered = await world.check(ask(bike, consent))
    assert isinstance(answered, Answered)
    await world.services.consents.withdraw(consent.id, Party.SUBJECT, person.id)
    refused = await world.check(ask(bike, consent))
    assert isinstance(refused, Refused)
    assert refused.code is Code.CONSENT_WITHDRAWN
    receipt = world.services.checks.receipt(answered).receipt
    body, _ = read_receipt(receipt, CheckpointKeys(world.services.ledger.jwks()))
    assert msgspec.json.decode(body)["consent_id"] == consent.id


async def test_l04_a_withdrawal_ends_the_token_that_came_from_the_consent(platform: Platform):
    bank = await platform.partner(SCENARIO)
    browser = platform.subject()
    code = await browser.agree(bank, (await bank.par(SCENARIO)).json()["request_uri"], "person-a")
    granted = (await bank.redeem(code)).json()
    consent_id = granted["authorization_details"][0]["consent_id"]
    question = {"scenario": SCENARIO, "consent_id": consent_id, "reference": "R-1"}
    first = await bank.call("POST", "/v1/checks", granted["access_token"], json=question)
    assert first.status_code == 200
    who = (await browser.http.get("/v1/me/session")).json()["data"]
    headers = {"x-csrf-token": who["csrf"]}
    await browser.http.post(f"/v1/me/consents/{consent_id}/revoke", headers=headers)
    second = await bank.call("POST", "/v1/checks", granted["access_token"], json=question)
    assert second.status_code in {401, 403}
    again = await bank.call("GET", f"/v1/checks/{first.json()['data']['id']}", granted["access_token"])
    assert again.status_code in {401, 403}


async def test_l05_the_notice_tells_what_happens_if_the_subject_refuses(world: World, person: Subject, bike: Client):
    notice = await told(world, person, bike)
    assert notice.fallback == world.services.scenarios.get(SCENARIO).fallback.en


async def test_l06_the_notice_is_whole_and_its_digest_is_in_the_consent(world: World, person: Subject, bike: Client):
    scenario = world.services.scenarios.get(SCENARIO)
    notice = await told(world, person, bike)
    assert (notice.partner, notice.partner_contact) == ("Sample Partner", "privacy@partner.example")
    assert notice.purpose == scenario.purpose.en
    assert {fact.id for fact in notice.facts.facts()} == {criterion.id for criterion in scenario.criteria}
    assert str(scenario.retention_days) in notice.retention
    assert notice.rights
    assert notice.withdrawal
    asked = await world.asked(bike, SCENARIO)
    given = await world.services.consents.authorise(
        asked.id,
        subject_id=person.id,
        kind=person.kind,
        notice_digest=notice.digest,
        language=Language.EN,
    )
    assert given.notice_digest == notice.digest
    other = await world.asked(bike, SCENARIO)
    with pytest.raises(XinyiError):
        await world.services.consents.authorise(
            other.id, subject_id=person.id, kind=person.kind, notice_digest="sha-256:x", language=Language.EN
        )


async def told(world: World, person: Subject, client: Client) -> Any:
    asked = await world.asked(client, SCENARIO)
    _, notice = await world.services.consents.show(
        asked.id, subject_id=person.id, kind=person.kind, language=Language.EN
    )
    return notice


async def test_l16_a_bank_that_was_told_one_purpose_cannot_ask_for_another(world: World, person: Subject):
    bank = await world.client("personal-loan", SCENARIO)
    consent = await world.consent(bank, "personal-loan", person)
    refused = await world.check(ask(bank, consent, scenario=SCENARIO))
    assert isinstance(refused, Refused)
    assert refused.code is Code.SCENARIO_MISMATCH
    answered = await world.check(ask(bank, consent))
    assert isinstance(answered, Answered)
    body, _ = read_receipt(
        world.services.checks.receipt(answered).receipt, CheckpointKeys(world.services.ledger.jwks())
    )
    assert msgspec.json.decode(body)["no_onward_supply"] is True


async def test_l19_after_a_refusal_a_partner_may_not_ask_again_for_a_time_but_a_redirect_is_free(
    world: World, person: Subject, bike: Client
):
    assert bike.partner_id is not None
    ask_them = Ask(
        client_id=bike.id,
        partner_id=bike.partner_id,
        scenario_id=SCENARIO,
        version=None,
        identifier=person.identifier.value,
        kind=SubjectKind(person.kind),
    )
    asked = await world.services.asks.ask(ask_them)
    await world.services.consents.reject(asked.id, subject_id=person.id, kind=person.kind)
    with pytest.raises(XinyiError) as error:
        await world.services.asks.ask(ask_them)
    assert error.value.definition.status == 429
    assert error.value.retry_after
    assert await world.asked(bike, SCENARIO, person), "the subject came by themselves"
    world.clock.advance(timedelta(hours=world.services.settings.ask_cool_down_hours))
    assert await world.services.asks.ask(ask_them)

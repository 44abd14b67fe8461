"""A bank's branches, a platform's merchants: who acts is named where people agree, where they look, and in the log."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.support.oauth import PartnerProgram, Platform, Subject, answer, details, running_platform
from tests.support.pairs import Pair
from tests.support.world import NEIGHBOUR
from xinyi.events.relay import Relay
from xinyi.kernel.text import Text
from xinyi.partners.model import SubParty
from xinyi_sdk.receipts import verify_receipt

pytestmark = pytest.mark.anyio
RECURRING, WRITTEN = "bike-deposit", "microloan-prescreen"
PERSON, COMPANY = "person-a", "company-a"
IDENTIFIER = NEIGHBOUR.value


class Stage(Struct):
    """A partner with two branches, and another partner with one."""

    platform: Platform
    bank: PartnerProgram
    east: SubParty
    west: SubParty
    other: PartnerProgram
    foreign: SubParty

    async def close(self, sub_party: SubParty) -> None:
        async with self.platform.service("database").transaction() as tx:
            await self.platform.service("partners").close_sub_party(tx, sub_party.partner_id, sub_party.id)

    async def call(self, method: str, path: str, **more: Any) -> Any:
        return await self.bank.call(method, path, await self.bank.token(), **more)

    async def push(self, scenario: str, sub_party: str) -> Any:
        return await self.bank.par(scenario, authorization_details=details(scenario, sub_party=sub_party))

    async def agreed(self, scenario: str, sub_party: SubParty, persona: str, person: Subject | None = None) -> Any:
        """The token response after the whole way of a consent that is given to a branch."""
        pushed = await self.push(scenario, sub_party.id)
        assert pushed.status_code == 201, pushed.text
        person = person or self.platform.subject()
        page = await person.open(self.bank, pushed.json()["request_uri"])
        if "persona" in page.text:
            page = await person.sign_in(page, persona)
        response = await self.bank.redeem(answer(await person.decide(page, "agree"))["code"])
        return response.json()

    async def check(self, consent_id: str, scenario: str) -> Any:
        body = {"scenario": scenario, "consent_id": consent_id, "reference": "CASE-1"}
        return await self.call("POST", "/v1/checks", json=body)


@pytest.fixture
async def stage(tmp_path: Path, pair: Pair) -> AsyncGenerator[Stage]:
    async with running_platform(tmp_path, pair) as platform:
        bank, other = [await platform.partner(RECURRING, WRITTEN) for _ in range(2)]
        partners = platform.service("partners")
        async with platform.service("database").transaction() as tx:
            own, foreign = bank.client.partner_id, other.client.partner_id
            east = await partners.add_sub_party(tx, own, Text("示例东支行", "East Branch"), "east@bank.example")
            west = await partners.add_sub_party(tx, own, Text("示例西支行", "West Branch"))
            theirs = await partners.add_sub_party(tx, foreign, Text("示例商户", "Sample Shop"))
        yield Stage(platform, bank, east, west, other, theirs)


def granted(token: Any) -> Any:
    [detail] = token["authorization_details"]
    return detail


async def test_the_page_names_who_acts_and_how_they_are_reached(stage: Stage) -> None:
    pushed = await stage.push(RECURRING, stage.east.id)
    person = stage.platform.subject()
    page = await person.sign_in(await person.open(stage.bank, pushed.json()["request_uri"]), PERSON)
    assert all(each in page.text for each in ("示例机构", "经办：", "示例东支行", "east@bank.example"))
    preview = await person.decide(page, "preview")
    assert "示例东支行" in preview.text


async def test_who_acts_is_part_of_what_is_agreed_to(stage: Stage) -> None:
    east, west = [granted(await stage.agreed(WRITTEN, each, COMPANY)) for each in (stage.east, stage.west)]
    stored = {each["id"]: each for each in (await stage.call("GET", "/v1/consents")).json()["data"]}
    assert (east["sub_party"], west["sub_party"]) == (stage.east.id, stage.west.id)
    for detail, sub_party in ((east, stage.east), (west, stage.west)):
        consent = stored[detail["consent_id"]]
        assert (consent["sub_party"], consent["state"]) == (
            sub_party.id,
            "authorised",
        )  # neither took the other's place
        copy = (await stage.call("GET", f"/v1/consents/{detail['consent_id']}/copy")).json()["data"]
        assert sub_party.name.zh in copy["text"]
    digests = {stored[each["consent_id"]]["notice_digest"] for each in (east, west)}
    assert len(digests) == 2


async def test_a_new_consent_takes_the_place_of_the_same_branchs_alone(stage: Stage) -> None:
    first, other, second = [
        granted(await stage.agreed(RECURRING, each, PERSON))["consent_id"]
        for each in (stage.east, stage.west, stage.east)
    ]
    listed = (await stage.call("GET", "/v1/consents")).json()["data"]
    states = {each["id"]: (each["state"], (each["ended"] or {}).get("reason")) for each in listed}
    assert states == {
        first: ("withdrawn", "superseded"),
        other: ("authorised", None),
        second: ("authorised", None),
    }


async def test_consents_are_listed_by_branch_and_events_name_it(stage: Stage) -> None:
    made: dict[str, list[str]] = {}
    for each in (stage.east, stage.west, stage.east):
        made.setdefault(each.id, []).insert(0, granted(await stage.agreed(WRITTEN, each, COMPANY))["consent_id"])
        stage.platform.clock.advance(timedelta(seconds=1))
    first = (await stage.call("GET", f"/v1/consents?limit=1&sub_party={stage.east.id}")).json()
    second = (await stage.call("GET", first["links"]["next"])).json()
    assert [each["id"] for page in (first, second) for each in page["data"]] == made[stage.east.id]
    assert second["meta"]["next_cursor"] is None
    await Relay(stage.platform.service("database"), stage.platform.clock).run()
    events = (await stage.call("GET", "/v1/events")).json()["data"]
    named = {(each["data"]["consent_id"], each["data"]["sub_party"]) for each in events}
    assert named == {(consent_id, branch) for branch, ids in made.items() for consent_id in ids}


async def test_the_receipt_the_access_log_and_the_export_say_who_acted(stage: Stage) -> None:
    person = stage.platform.subject()
    consent_id = granted(await stage.agreed(RECURRING, stage.east, PERSON, person))["consent_id"]
    body = (await stage.check(consent_id, RECURRING)).json()
    jwks = (await stage.platform.http.get("/v1/ledger/jwks")).json()
    assert verify_receipt(body["receipt"], jwks, answer=body).sub_party == stage.east.id
    name = {"id": stage.east.id, "name": {"zh": "示例东支行", "en": "East Branch"}}
    [entry] = (await person.http.get("/v1/me/access-log")).json()["data"]
    assert (entry["sub_party"], entry["proof"]["state"]) == (name, "included")
    export = (await person.http.get("/v1/me/export")).json()["data"]
    assert export["consents"][0]["sub_party"] == export["access_log"][0]["entry"]["sub_party"] == name
    for path in ("/me", "/me/access-log"):
        assert "示例东支行" in (await person.http.get(path)).text


async def test_another_partners_sub_party_a_closed_one_and_none_are_refused_alike(stage: Stage) -> None:
    await stage.close(stage.west)
    ids = [stage.foreign.id, stage.west.id, "sbp_01kb0x4m9v5w8q2r7s3t6y1zab"]
    pushed = [await stage.push(RECURRING, each) for each in ids]
    assert {each.status_code for each in pushed} == {400}
    assert {each.json()["error"] for each in pushed} == {"invalid_authorization_details"}
    assert len({each.content for each in pushed}) == 1
    ask = {"scenario": RECURRING, "subject": {"identifier": IDENTIFIER}}
    asked = [await stage.call("POST", "/v1/consents", json={**ask, "sub_party": each}) for each in ids]
    assert {(each.status_code, each.json()["code"]) for each in asked} == {(422, "invalid")}
    assert {each.json()["source"] for each in asked} == {"/sub_party"}
    assert (await stage.call("POST", "/v1/consents", json={**ask, "sub_party": stage.east.id})).status_code == 201


async def test_another_branch_is_no_way_around_a_refusal(stage: Stage) -> None:
    ask = {"scenario": RECURRING, "subject": {"identifier": IDENTIFIER}}
    first = await stage.call("POST", "/v1/consents", json={**ask, "sub_party": stage.east.id})
    waiting = await stage.call("POST", "/v1/consents", json={**ask, "sub_party": stage.west.id})
    assert waiting.json()["code"] == "wrong_state"
    subjects, consents = stage.platform.service("subjects"), stage.platform.service("consents")
    async with stage.platform.service("database").transaction() as tx:
        subject_id = await subjects.ensure(tx, subjects.parse(IDENTIFIER))
    await consents.reject(first.json()["data"]["id"], subject_id=subject_id, kind="natural_person")
    again = await stage.call("POST", "/v1/consents", json={**ask, "sub_party": stage.west.id})
    assert (again.status_code, again.json()["code"]) == (429, "cooling_down")


async def test_under_a_closed_one_no_check_is_answered_and_the_consent_can_be_withdrawn(stage: Stage) -> None:
    person = stage.platform.subject()
    consent_id = granted(await stage.agreed(RECURRING, stage.east, PERSON, person))["consent_id"]
    asked = (await stage.push(RECURRING, stage.east.id)).json()["request_uri"]
    page = await person.open(stage.bank, asked)
    await stage.close(stage.east)
    refused = await stage.check(consent_id, RECURRING)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_entitled")
    extension = await stage.call("POST", f"/v1/consents/{consent_id}/extensions", json={})
    assert (extension.status_code, extension.json()["code"]) == (403, "not_entitled")
    assert answer(await person.decide(page, "agree"))["error"] == "access_denied"
    csrf = (await person.http.get("/v1/me/session")).json()["data"]["csrf"]
    withdrawn = await person.http.post(f"/v1/me/consents/{consent_id}/revoke", headers={"x-csrf-token": csrf})
    assert withdrawn.json()["data"]["state"] == "withdrawn"


async def test_a_partner_lists_its_own_page_by_page(stage: Stage) -> None:
    await stage.close(stage.west)
    first = (await stage.call("GET", "/v1/partner/sub-parties?limit=1")).json()
    second = (await stage.call("GET", first["links"]["next"])).json()
    listed = {each["id"]: (each["status"], each["contact"]) for page in (first, second) for each in page["data"]}
    assert listed == {stage.east.id: ("active", "east@bank.example"), stage.west.id: ("closed", None)}
    assert second["meta"]["next_cursor"] is None

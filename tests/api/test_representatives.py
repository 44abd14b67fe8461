"""Who acts for a company: recorded as such, and only as long as the place where they sign in says so."""

from collections.abc import AsyncGenerator, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey
from msgspec import Struct
from sqlalchemy import select

from tests.support.clock import ManualClock
from tests.support.oauth import ABSENT, PartnerProgram, Platform, Subject, answer, running_platform
from tests.support.pairs import Pair
from tests.support.provider import CLIENT_ID, EVENT, Provider, running_provider
from xinyi.consents.tables import consents
from xinyi.ledger.tables import ledger_entries
from xinyi.sandbox import identities

pytestmark = pytest.mark.anyio
SCENARIO = "microloan-prescreen"
COMPANY = identities.company(2, 7).value
PERSON = identities.person(2, date(1980, 5, 1), 8).value
ALICE = {"sub": "alice", "sid": "s-1", "resident_id": PERSON, "name": "示例代表", "uscc": COMPANY}
LOGOUT = "/sign-in/back-channel-logout"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


class Stage(Struct):
    """An installation whose subjects sign in at the provider, and a bank that asks."""

    platform: Platform
    provider: Provider
    bank: PartnerProgram
    clock: ManualClock

    async def sent(self, person: Subject, next_path: str, kind: str) -> str:
        """The provider's address that a browser is sent to."""
        left = await person.http.get("/sign-in/start", params={"next": next_path, "kind": kind})
        return left.headers["location"]

    async def sign_in(
        self, person: Subject, next_path: str = "/me", *, kind: str = "legal_person", **claims: Any
    ) -> httpx.Response:
        """All the way there and back: what the way back answers."""
        sent_to = await self.sent(person, next_path, kind)
        return await person.http.get(self.provider.answer(sent_to, self.clock.now(), {**ALICE, **claims}))

    async def signed_in(self, **claims: Any) -> Subject:
        person = self.platform.subject()
        assert (await self.sign_in(person, **claims)).status_code == 303
        return person

    async def asked(self, person: Subject) -> httpx.Response:
        """The consent page, for somebody who is signed in."""
        request_uri = (await self.bank.par(SCENARIO)).json()["request_uri"]
        return await person.open(self.bank, request_uri)

    async def agreed(self, person: Subject) -> str:
        """The consent that the company gave."""
        token = await self.bank.redeem(answer(await person.decide(await self.asked(person), "agree"))["code"])
        return str(token.json()["authorization_details"][0]["consent_id"])

    async def log_out(self, **claims: Any) -> httpx.Response:
        return await self.post(self.provider.logout_token(self.clock.now(), **claims))

    async def post(self, token: str) -> httpx.Response:
        return await self.platform.http.post(LOGOUT, data={"logout_token": token})


async def is_in(person: Subject) -> bool:
    return (await person.http.get("/v1/me/session")).status_code == 200


@pytest.fixture
async def stage(tmp_path: Path, pair: Pair, provider: Provider) -> AsyncGenerator[Stage]:
    secret = tmp_path / "sign-in.secret"
    secret.write_text("a-secret-for-the-tests-alone\n")
    secret.chmod(0o600)
    clock = ManualClock()
    async with running_platform(
        tmp_path,
        pair,
        clock,
        sign_in_issuer=provider.issuer,
        sign_in_client_id=CLIENT_ID,
        sign_in_identifier_claim="resident_id",
        sign_in_company_claim="uscc",
        sign_in_secret_file=secret,
    ) as platform:
        yield Stage(platform, provider, await platform.partner(SCENARIO), clock)


async def test_who_acted_is_in_the_consent_in_the_ledger_and_on_the_companys_page_by_a_code_of_its_own(
    stage: Stage,
) -> None:
    person = await stage.signed_in()
    consent_id = await stage.agreed(person)
    [mine] = (await person.http.get("/v1/me/consents")).json()["data"]
    code = mine["representative"]
    csrf = (await person.http.get("/v1/me/session")).json()["data"]["csrf"]
    await person.http.post(f"/v1/me/consents/{consent_id}/pause", headers={"x-csrf-token": csrf})
    async with stage.platform.service("database").read() as tx:
        stored = (await tx.execute(select(consents).where(consents.c.id == consent_id))).one()
        bodies = (await tx.execute(select(ledger_entries.c.body).order_by(ledger_entries.c.leaf_index))).scalars()
        entries = [entry for body in bodies if (entry := msgspec.json.decode(body))["id"] == consent_id]
    assert stored.representative_id is not None
    said = {entry["event"]: (entry["representative"], entry["acted_by"]) for entry in entries}
    assert said == {"requested": (None, None), "authorised": (code, code), "paused": (code, code)}
    pairwise = stage.platform.service("subjects").pairwise
    assert code != pairwise(stored.representative_id, stored.partner_id)  # nothing that the bank knows
    assert code in (await person.http.get("/me")).text
    told = await stage.bank.call("GET", f"/v1/consents/{consent_id}", await stage.bank.token())
    assert code not in told.text


async def test_the_provider_signs_a_person_out_of_all_their_sessions(stage: Stage) -> None:
    here, there, other = (
        await stage.signed_in(),
        await stage.signed_in(sid="s-2"),
        await stage.signed_in(sub="bob", sid="s-3"),
    )
    response = await stage.log_out(sub="alice")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert [await is_in(each) for each in (here, there, other)] == [False, False, True]
    stage.clock.advance(timedelta(seconds=1))
    assert await is_in(await stage.signed_in())  # who signs in anew is in


async def test_the_provider_signs_a_person_out_of_one_session(stage: Stage) -> None:
    here, there = await stage.signed_in(), await stage.signed_in(sid="s-2")
    assert (await stage.log_out(sid="s-1")).status_code == 200
    assert [await is_in(each) for each in (here, there)] == [False, True]


async def test_who_was_on_the_way_when_they_were_signed_out_isnt_in_afterwards(stage: Stage) -> None:
    person = stage.platform.subject()
    sent_to = await stage.sent(person, "/me", "legal_person")
    back = stage.provider.answer(sent_to, stage.clock.now(), ALICE)
    stage.clock.advance(timedelta(seconds=1))
    assert (await stage.log_out(sub="alice")).status_code == 200
    stage.clock.advance(timedelta(seconds=1))
    await person.http.get(back)
    assert not await is_in(person)


NOT_TO_GO_BY: dict[str, dict[str, Any]] = {
    "another provider's": {"iss": "https://other.example"},
    "for another client": {"aud": "other"},
    "about another event": {"events": {"http://schemas.openid.net/event/other": {}}},
    "about no event": {"events": ABSENT},
    "whose event isn't an object": {"events": {EVENT: None}},
    "an ID token's nonce in it": {"nonce": "n"},
    "about nobody": {"sub": ABSENT},
    "with a sub that isn't text": {"sub": 7},
    "without a number": {"jti": ABSENT},
    "that never ends": {"exp": ABSENT},
    "without a time": {"iat": ABSENT},
    "of another type": {"typ": "JWT"},
    "signed by another key": {"key": ECKey.generate_key("P-256")},
}


async def test_a_token_that_isnt_one_to_go_by_signs_nobody_out(stage: Stage) -> None:
    person, now = await stage.signed_in(), stage.clock.now()
    refused = {name: await stage.log_out(**{"sub": "alice", **changes}) for name, changes in NOT_TO_GO_BY.items()}
    refused["old"] = await stage.post(stage.provider.logout_token(now - timedelta(minutes=6), sub="alice", exp=9e9))
    refused["of tomorrow"] = await stage.post(stage.provider.logout_token(now + timedelta(minutes=1), sub="alice"))
    refused["none"] = await stage.platform.http.post(LOGOUT, data={})
    refused["no token"] = await stage.post("a.b.c")
    assert {name: each.status_code for name, each in refused.items()} == dict.fromkeys(refused, 400)
    assert {each.json()["error"] for each in refused.values()} == {"invalid_request"}
    assert await is_in(person)


async def test_a_logout_token_works_once(stage: Stage) -> None:
    token = stage.provider.logout_token(stage.clock.now(), sub="alice")
    assert (await stage.post(token)).status_code == 200
    stage.clock.advance(timedelta(seconds=1))
    person = await stage.signed_in()
    assert (await stage.post(token)).status_code == 400
    assert await is_in(person)


async def test_an_old_sign_in_is_asked_again_before_the_company_agrees(stage: Stage) -> None:
    person = await stage.signed_in()
    page = await stage.asked(person)
    stage.clock.advance(timedelta(minutes=15))
    again = await person.decide(page, "agree")
    assert (again.status_code, "/sign-in/start" in again.text) == (200, True)
    assert (await stage.sign_in(person, str(page.request.url.raw_path, "ascii"))).status_code == 303
    page = await person.http.get(str(page.request.url.raw_path, "ascii"))
    assert "code" in answer(await person.decide(page, "agree"))


async def test_an_old_sign_in_is_asked_again_before_the_company_withdraws(stage: Stage) -> None:
    person = await stage.signed_in()
    consent_id = await stage.agreed(person)
    csrf = (await person.http.get("/v1/me/session")).json()["data"]["csrf"]
    stage.clock.advance(timedelta(minutes=15))
    path = f"/me/consents/{consent_id}/withdraw"
    led = await person.http.post(path, data={"csrf": csrf})
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=/me")
    told = await person.http.post(f"/v1/me/consents/{consent_id}/revoke", headers={"x-csrf-token": csrf})
    assert (told.status_code, told.json()["code"]) == (401, "session_required")
    await stage.sign_in(person)
    csrf = (await person.http.get("/v1/me/session")).json()["data"]["csrf"]
    await person.http.post(path, data={"csrf": csrf})
    [mine] = (await person.http.get("/v1/me/consents")).json()["data"]
    assert mine["state"] == "withdrawn"


async def test_an_old_sign_in_is_asked_again_at_the_page_of_a_link_and_for_more_time(stage: Stage) -> None:
    person, bank = await stage.signed_in(), stage.bank
    ask = {"scenario": SCENARIO, "subject": {"identifier": COMPANY}}
    asked = (await bank.call("POST", "/v1/consents", await bank.token(), json=ask)).json()["data"]
    path = f"/consents/{asked['id']}"
    for _ in range(2):  # the ask, and then its extension
        page = await person.http.get(path)
        stage.clock.advance(timedelta(minutes=15))
        led = await person.decide(page, "agree")
        assert (led.status_code, led.headers["location"]) == (303, f"/sign-in?next={path}")
        await stage.sign_in(person, path)
        assert (await person.decide(await person.http.get(path), "agree")).headers["location"] == path
        stage.clock.advance(timedelta(minutes=1))
        more = await bank.call(
            "POST", f"{path.replace('/consents', '/v1/consents')}/extensions", await bank.token(), json={}
        )
    assert more.status_code == 201


async def test_refusing_asks_for_no_new_sign_in(stage: Stage) -> None:
    person = await stage.signed_in()
    page = await stage.asked(person)
    stage.clock.advance(timedelta(minutes=15))
    assert answer(await person.decide(page, "refuse"))["error"] == "access_denied"


async def test_who_acts_for_nobody_any_more_cant_come_back_for_the_company(stage: Stage) -> None:
    person = await stage.signed_in()
    stage.clock.advance(timedelta(minutes=15))
    back = await stage.sign_in(person, uscc=None)
    assert (back.status_code, "没有可代表的企业" in back.text) == (403, True)
    page = await stage.asked(person)
    assert "/sign-in/start" in (await person.decide(page, "agree")).text


async def test_who_only_sets_out_leaves_nothing_behind(stage: Stage, tmp_path: Path, pair: Pair) -> None:
    """A stranger may set out as often as they like: what all need isn't filled up."""
    cache, person = stage.platform.service("cache"), stage.platform.subject()
    await stage.sent(person, "/me", "natural_person")
    before = pair.remembered(tmp_path, cache)
    assert len({await stage.sent(person, "/me", "natural_person") for _ in range(3)}) == 3
    assert pair.remembered(tmp_path, cache) == before


async def test_who_comes_back_too_late_or_with_what_isnt_ours_isnt_signed_in(stage: Stage) -> None:
    person = stage.platform.subject()
    sent_to = await stage.sent(person, "/me", "legal_person")
    stage.clock.advance(timedelta(minutes=15))
    late = await person.http.get(stage.provider.answer(sent_to, stage.clock.now(), ALICE))
    assert (late.status_code, "登录已过期" in late.text) == (403, True)
    for state in ("", "x", "AA", "é", "djE6AAAA", "A" * 2000):
        foreign = await person.http.get("/sign-in/back", params={"state": state, "code": "c"})
        assert (foreign.status_code, "登录已过期" in foreign.text) == (403, True)
    assert not await is_in(person)


async def test_an_answer_works_once_even_where_the_provider_takes_its_code_again(stage: Stage) -> None:
    person = stage.platform.subject()
    back = stage.provider.answer(await stage.sent(person, "/me", "legal_person"), stage.clock.now(), ALICE)
    assert (await person.http.get(back)).status_code == 303
    again = await person.http.get(back)
    assert (again.status_code, "登录已过期" in again.text) == (403, True)

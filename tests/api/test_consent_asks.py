"""``POST /v1/consents`` and what follows it: asks by link, reminders, extensions, lists, signed copies."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from sqlalchemy import event

from tests.support.rooms import ORIGIN, calling
from tests.support.world import COMPANY, PERSON, Subject, World, ask
from xinyi.consents.copies import InvalidCopy, verify
from xinyi.consents.http import ConsentAskController, ConsentController
from xinyi.consents.model import Consent
from xinyi.kernel.text import Language
from xinyi.partners.model import Client
from xinyi.sandbox import identities
from xinyi.web.principal import Principal, Scope

pytestmark = pytest.mark.anyio
SCENARIO, ONCE, WRITTEN = "bike-deposit", "home-rental-deposit", "microloan-prescreen"
UNKNOWN = identities.person(1, date(1985, 3, 4), 9)


@pytest.fixture
async def client(world: World) -> Client:
    return await world.client(SCENARIO, ONCE, WRITTEN)


@pytest.fixture
async def subject(world: World) -> Subject:
    return await world.subject()


@pytest.fixture
async def http(world: World, client: Client) -> AsyncGenerator[httpx.AsyncClient]:
    async with partner(world, client) as caller:
        yield caller


def partner(
    world: World, client: Client, *scopes: Scope, bound: str | None = None
) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    granted = frozenset(scopes or {Scope.CONSENTS})
    principal = Principal(client.id, granted, "jkt", partner_id=client.partner_id, consent_id=bound)
    return calling(world, [ConsentAskController, ConsentController], principal)


def asking(identifier: str = PERSON.value, scenario: str = SCENARIO, **more: Any) -> dict[str, Any]:
    return {"json": {"scenario": scenario, "subject": {"identifier": identifier}, **more}}


async def agreed(world: World, consent_id: str, subject: Subject) -> Consent:
    service, who = world.services.consents, {"subject_id": subject.id, "kind": subject.kind}
    _, notice = await service.show(consent_id, language=Language.ZH, **who)
    return await service.authorise(consent_id, notice_digest=notice.digest, language=Language.ZH, **who)


async def refused(world: World, consent_id: str, subject: Subject) -> Consent:
    return await world.services.consents.reject(consent_id, subject_id=subject.id, kind=subject.kind)


def problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


async def test_an_ask_gives_a_link_and_its_qr_code(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/consents", **asking())
    assert response.status_code == 201
    data = response.json()["data"]
    assert data["link"] == f"{ORIGIN}/consents/{data['id']}"
    assert data["request_expires_at"] == "2026-11-02T09:00:00Z"
    assert ElementTree.fromstring(data["qr_svg"]).tag.endswith("svg")  # noqa: S314 (our own)
    stands = (await http.get(f"/v1/consents/{data['id']}")).json()["data"]
    assert (stands["state"], stands["channel"], stands["subject"]) == ("awaiting_authorisation", "link", None)


async def test_asking_answers_alike_for_known_and_unknown_subjects(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    known = (await http.post("/v1/consents", **asking(subject.identifier.value))).json()["data"]
    unknown = (await http.post("/v1/consents", **asking(UNKNOWN.value))).json()["data"]
    own = {"id", "link", "qr_svg"}
    assert {k: v for k, v in known.items() if k not in own} == {k: v for k, v in unknown.items() if k not in own}


async def test_asking_takes_the_same_steps_for_known_and_unknown_subjects(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    """Nothing is looked up that could take another time."""
    await world.asked(client, SCENARIO)  # the first entry makes the ledger
    steps: list[str] = []
    engine = world.services.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: steps.append(statement))
    taken = []
    for identifier in (subject.identifier, UNKNOWN):
        steps.clear()
        assert (await http.post("/v1/consents", **asking(identifier.value))).status_code == 201
        taken.append(list(steps))
    assert taken[0] == taken[1] != []


async def test_the_named_subject_answers_and_nobody_else(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    consent_id = (await http.post("/v1/consents", **asking())).json()["data"]["id"]
    neighbour = await world.subject(UNKNOWN)
    async with world.services.database.read() as tx:
        inbox = await world.services.consents.awaiting(tx, subject.id)
        neighbours = await world.services.consents.awaiting(tx, neighbour.id)
    assert [(each.consent.id, each.extension) for each in inbox] == [(consent_id, None)]
    assert neighbours == []
    await agreed(world, consent_id, subject)
    data = (await http.get(f"/v1/consents/{consent_id}")).json()["data"]
    assert data["state"] == "authorised"
    assert client.partner_id is not None
    assert data["subject"] == world.services.subjects.pairwise(subject.id, client.partner_id)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (asking("990001199005010070"), (422, "invalid")),
        (asking("11010519491231002X"), (422, "invalid")),  # a real one, in the sandbox
        (asking(COMPANY.value), (422, "invalid")),  # the scenario is for people
        (asking(version=99), (422, "invalid")),
        (asking(scenario="personal-loan"), (403, "not_entitled")),
        (asking(scenario="no-such-thing"), (403, "not_entitled")),
    ],
    ids=["check digit", "not synthetic", "another kind", "no such version", "not given", "no such scenario"],
)
async def test_what_cannot_be_asked(http: httpx.AsyncClient, body: dict[str, Any], expected: tuple[int, str]) -> None:
    response = await http.post("/v1/consents", **body)
    assert problem(response) == expected
    assert body["json"]["subject"]["identifier"] not in response.text


async def test_the_same_is_asked_once_at_a_time(http: httpx.AsyncClient, world: World) -> None:
    assert (await http.post("/v1/consents", **asking())).status_code == 201
    assert problem(await http.post("/v1/consents", **asking())) == (409, "wrong_state")
    assert (await http.post("/v1/consents", **asking(scenario=ONCE))).status_code == 201
    world.clock.advance(timedelta(minutes=60))
    assert (await http.post("/v1/consents", **asking())).status_code == 201


async def test_an_idempotency_key_asks_once(http: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "key-1"}
    first = await http.post("/v1/consents", **asking(), headers=headers)
    again = await http.post("/v1/consents", **asking(), headers=headers)
    other = await http.post("/v1/consents", **asking(scenario=ONCE), headers=headers)
    assert first.content == again.content
    assert problem(other) == (422, "idempotency_key_reused")


async def test_a_refusal_is_respected_for_a_day(world: World, subject: Subject, http: httpx.AsyncClient) -> None:
    """L19: nobody is nagged."""
    consent_id = (await http.post("/v1/consents", **asking())).json()["data"]["id"]
    await refused(world, consent_id, subject)
    world.clock.advance(timedelta(hours=23))
    response = await http.post("/v1/consents", **asking())
    assert problem(response) == (429, "cooling_down")
    assert response.headers["retry-after"] == "3600"
    assert (await http.post("/v1/consents", **asking(scenario=ONCE))).status_code == 201, "another scenario"
    assert (await http.post("/v1/consents", **asking(UNKNOWN.value))).status_code == 201, "another subject"
    world.clock.advance(timedelta(hours=1))
    assert (await http.post("/v1/consents", **asking())).status_code == 201


async def test_a_refusal_holds_back_neither_a_redirect_nor_another_partner(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    consent_id = (await http.post("/v1/consents", **asking())).json()["data"]["id"]
    await refused(world, consent_id, subject)
    assert await world.asked(client, SCENARIO, subject)
    async with partner(world, await world.client(SCENARIO)) as other:
        assert (await other.post("/v1/consents", **asking())).status_code == 201


async def test_what_was_refused_without_a_name_does_not_tell_who_refused(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    """Else a partner could try identifiers until one is cooling down."""
    await refused(world, (await world.asked(client, SCENARIO)).id, subject)
    assert (await http.post("/v1/consents", **asking())).status_code == 201


async def test_a_reminder_is_one_nudge(world: World, subject: Subject, http: httpx.AsyncClient) -> None:
    consent_id = (await http.post("/v1/consents", **asking())).json()["data"]["id"]
    world.clock.advance(timedelta(minutes=10))
    response = await http.post(f"/v1/consents/{consent_id}/reminders")
    assert response.json()["data"] == {"reminded_at": "2026-11-02T08:10:00Z", "again_at": "2026-11-09T08:10:00Z"}
    async with world.services.database.read() as tx:
        (waiting,) = await world.services.consents.awaiting(tx, subject.id)
    assert waiting.reminded_at == world.clock.now()
    again = await http.post(f"/v1/consents/{consent_id}/reminders")
    assert problem(again) == (429, "cooling_down")
    assert again.headers["retry-after"] == str(7 * 86400)
    world.clock.advance(timedelta(hours=2))
    assert problem(await http.post(f"/v1/consents/{consent_id}/reminders")) == (409, "wrong_state")
    anew = (await http.post("/v1/consents", **asking())).json()["data"]["id"]
    assert problem(await http.post(f"/v1/consents/{anew}/reminders")) == (429, "cooling_down"), "of another ask too"


async def test_reminding_answers_alike_for_known_and_unknown_subjects(
    subject: Subject, http: httpx.AsyncClient
) -> None:
    answers = []
    for identifier in (subject.identifier, UNKNOWN):
        consent_id = (await http.post("/v1/consents", **asking(identifier.value))).json()["data"]["id"]
        answers.append(await http.post(f"/v1/consents/{consent_id}/reminders"))
    assert answers[0].content == answers[1].content


async def test_what_a_redirect_asks_has_no_reminder(world: World, client: Client, http: httpx.AsyncClient) -> None:
    asked = await world.asked(client, SCENARIO)
    assert problem(await http.post(f"/v1/consents/{asked.id}/reminders")) == (409, "wrong_state")


async def test_an_extension_keeps_the_id_and_has_a_history(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    consent = await world.consent(client, WRITTEN, await world.subject(COMPANY))
    company = await world.subject(COMPANY)
    world.clock.advance(timedelta(days=80))
    response = await http.post(f"/v1/consents/{consent.id}/extensions", json={"days": 60})
    assert response.status_code == 201
    asked = response.json()["data"]
    assert (asked["state"], asked["days"]) == ("awaiting_authorisation", 60)
    assert asked["request_expires_at"] == "2027-01-28T08:00:00Z"
    await world.services.extensions.grant(consent.id, asked["id"], company.id)
    history = (await http.get(f"/v1/consents/{consent.id}/extensions")).json()["data"]
    assert [(each["state"], each["expired_before"], each["expires_at"]) for each in history] == [
        ("granted", "2027-01-31T08:00:00Z", "2027-03-22T08:00:00Z")
    ]
    data = (await http.get(f"/v1/consents/{consent.id}")).json()["data"]
    assert (data["id"], data["expires_at"]) == (consent.id, "2027-03-22T08:00:00Z")
    world.clock.advance(timedelta(days=59))
    assert not hasattr(await world.check(ask(client, consent)), "code"), "answered under the same consent"


@pytest.mark.parametrize(
    ("days", "expected"), [(91, (422, "invalid")), (9, (422, "invalid")), (None, (201, 90)), (90, (201, 90))]
)
async def test_an_extension_is_no_longer_than_the_scenario_allows_and_no_shorter_than_what_is_left(
    world: World, client: Client, http: httpx.AsyncClient, days: int | None, expected: tuple[int, Any]
) -> None:
    consent = await world.consent(client, WRITTEN, await world.subject(COMPANY))
    world.clock.advance(timedelta(days=80))
    response = await http.post(f"/v1/consents/{consent.id}/extensions", json={} if days is None else {"days": days})
    told = response.json().get("code") or response.json()["data"]["days"]
    assert (response.status_code, told) == expected


async def test_one_extension_waits_at_a_time_and_a_refused_one_is_not_asked_again_at_once(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    world.clock.advance(timedelta(days=300))
    path = f"/v1/consents/{consent.id}/extensions"
    asked = (await http.post(path, json={})).json()["data"]
    assert problem(await http.post(path, json={})) == (409, "wrong_state")
    await world.services.extensions.refuse(consent.id, asked["id"], subject.id)
    assert problem(await http.post(path, json={})) == (429, "cooling_down")
    world.clock.advance(timedelta(days=1))
    assert (await http.post(path, json={})).status_code == 201
    assert [each["state"] for each in (await http.get(path)).json()["data"]] == ["awaiting_authorisation", "refused"]


async def test_an_extension_lapses_after_a_week_or_with_its_consent(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    path = f"/v1/consents/{consent.id}/extensions"
    world.clock.advance(timedelta(days=350))
    await http.post(path, json={})
    world.clock.advance(timedelta(days=7))
    assert (await http.get(path)).json()["data"][0]["state"] == "lapsed"
    assert (await http.post(path, json={})).status_code == 201
    await world.services.consents.pause(consent.id, subject.id)
    await http.delete(f"/v1/consents/{consent.id}")
    assert (await http.get(path)).json()["data"][0]["state"] == "lapsed"
    assert problem(await http.post(path, json={})) == (409, "wrong_state")


async def test_lists_are_the_partners_own_newest_first_in_pages(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    await world.consent(await world.client(SCENARIO), SCENARIO, subject)
    ids = []
    for scenario in (SCENARIO, ONCE, ONCE):
        ids.append((await world.consent(client, scenario, subject)).id)
        world.clock.advance(timedelta(seconds=1))
    first = (await http.get("/v1/consents", params={"limit": 2})).json()
    assert [each["id"] for each in first["data"]] == [ids[2], ids[1]]
    assert first["meta"] == {"limit": 2, "next_cursor": ids[1]}
    rest = (await http.get(first["links"]["next"])).json()
    assert [each["id"] for each in rest["data"]] == [ids[0]]
    assert "links" not in rest
    filtered = (await http.get("/v1/consents", params={"scenario": ONCE})).json()
    assert [each["id"] for each in filtered["data"]] == [ids[2], ids[1]]


async def test_each_state_lists_what_is_in_it_at_this_moment(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    service = world.services.consents
    other = await world.subject(UNKNOWN)
    expected = {"expired": (await world.asked(client, SCENARIO)).id}
    world.clock.advance(timedelta(hours=2))
    expected["awaiting_authorisation"] = (await world.asked(client, SCENARIO)).id
    expected["authorised"] = (await world.consent(client, SCENARIO, subject)).id
    expected["paused"] = (await world.consent(client, SCENARIO, other)).id
    await service.pause(expected["paused"], other.id)
    expected["rejected"] = (await world.asked(client, SCENARIO)).id
    await refused(world, expected["rejected"], subject)
    used = await world.consent(client, ONCE, subject)
    await world.check(ask(client, used))
    expected["consumed"] = used.id
    gone = await world.consent(client, ONCE, other)
    await http.delete(f"/v1/consents/{gone.id}")
    expected["withdrawn"] = gone.id
    for state, consent_id in expected.items():
        listed = (await http.get("/v1/consents", params={"state": state})).json()["data"]
        assert [(each["id"], each["state"]) for each in listed] == [(consent_id, state)]
    unknown = (await http.get("/v1/consents", params={"state": "unknown"})).json()
    assert (unknown["code"], unknown["source"]) == ("invalid", "state")


async def test_anothers_consent_answers_as_one_that_does_not_exist(
    world: World, client: Client, subject: Subject
) -> None:
    consent = await world.consent(client, WRITTEN, await world.subject(COMPANY))
    absent = consent.id[:-1] + ("0" if consent.id[-1] != "0" else "1")
    async with partner(world, await world.client(SCENARIO, WRITTEN)) as other:
        answers = [
            await other.request(method, f"/v1/consents/{consent_id}{rest}", json={} if method == "POST" else None)
            for consent_id in (consent.id, absent, "nonsense")
            for method, rest in (
                ("GET", "/copy"),
                ("GET", "/extensions"),
                ("POST", "/extensions"),
                ("POST", "/reminders"),
            )
        ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


async def test_a_suspended_partner_can_still_give_a_consent_up_and_a_disabled_client_can_not(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    assert client.partner_id is not None
    async with world.services.database.transaction() as tx:
        await world.services.partners.suspend_partner(tx, client.partner_id)
        await world.services.partners.disable_client(tx, client.id)
    assert problem(await http.delete(f"/v1/consents/{consent.id}")) == (403, "not_entitled")
    second = await world.client(SCENARIO)
    given = await world.consent(second, SCENARIO, subject)
    assert second.partner_id is not None
    async with world.services.database.transaction() as tx:
        await world.services.partners.suspend_partner(tx, second.partner_id)
    async with partner(world, second) as suspended:
        response = await suspended.delete(f"/v1/consents/{given.id}")
    assert response.json()["data"]["ended"]["reason"] == "given_up_by_partner"


async def test_a_written_consent_has_a_signed_copy_that_verifies_offline(
    world: World, client: Client, http: httpx.AsyncClient
) -> None:
    company = await world.subject(COMPANY)
    consent = await world.consent(client, WRITTEN, company)
    data = (await http.get(f"/v1/consents/{consent.id}/copy")).json()["data"]
    copy = verify(data["jws"], world.services.ledger.jwks())
    assert copy.text == data["text"]
    assert copy.text_digest == consent.text_digest == data["text_digest"]
    assert (copy.consent_id, copy.notice_digest) == (consent.id, consent.notice_digest)
    assert copy.subject == world.services.subjects.pairwise(company.id, consent.partner_id)
    assert "不是信用主体的电子签名" in copy.statement.zh
    assert "isn't the subject's electronic signature" in copy.text or "不是授权人的电子签名" in copy.text
    assert COMPANY.value not in data["jws"] + data["text"]
    header, payload, signature = data["jws"].split(".")
    for forged in (f"{header}.{payload[:-4]}AAAA.{signature}", "nonsense", data["jws"][:-8]):
        with pytest.raises(InvalidCopy):
            verify(forged, world.services.ledger.jwks())


async def test_a_separate_consent_has_no_copy(
    world: World, client: Client, subject: Subject, http: httpx.AsyncClient
) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    assert problem(await http.get(f"/v1/consents/{consent.id}/copy")) == (404, "not_found")


async def test_a_token_of_one_consent_asks_nobody(world: World, client: Client, subject: Subject) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    async with partner(world, client, Scope.CHECKS, bound=consent.id) as bound:
        answers = [
            await bound.post("/v1/consents", **asking()),
            await bound.get("/v1/consents"),
            await bound.post(f"/v1/consents/{consent.id}/reminders"),
            await bound.post(f"/v1/consents/{consent.id}/extensions", json={}),
        ]
    assert {problem(answer) for answer in answers} == {(403, "insufficient_scope")}

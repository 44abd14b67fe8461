"""A consent's own page, ``/consents/{id}``: only for the subject that it names or that gave it. And previews."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import func, select

from tests.support.oauth import Form, forms
from tests.support.rooms import calling
from tests.support.world import COMPANY, NEIGHBOUR, PERSON, Subject, World, ask
from xinyi.checks.model import Answered
from xinyi.consents.asking import Ask
from xinyi.consents.copies import verify
from xinyi.consents.model import Consent, ConsentState, EndReason
from xinyi.consents.pages import ConsentPages
from xinyi.kernel.text import Text
from xinyi.ledger.tables import ledger_leaves
from xinyi.partners.model import Client
from xinyi.portal.http import MeController
from xinyi.portal.http_previews import MyPreviewController

pytestmark = pytest.mark.anyio
SCENARIO, WRITTEN, ONCE = "bike-deposit", "microloan-prescreen", "home-rental-deposit"


@pytest.fixture
async def client(world: World) -> Client:
    return await world.client(SCENARIO, WRITTEN, ONCE, units={WRITTEN: frozenset({"tax-rating", "tax-rating.grade"})})


@pytest.fixture
async def subject(world: World) -> Subject:
    return await world.subject(PERSON)


class Browser:
    """Somebody's browser."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def open(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def press(self, form: Form, decision: str, **changed: str) -> httpx.Response:
        return await self.http.post(form.action, data={**form.fields, "decision": decision, **changed})


@pytest.fixture
async def browsers(world: World) -> AsyncGenerator[Any]:
    """Makes browsers in which a subject is signed in."""
    async with AsyncExitStack() as stack:

        async def browser(subject: Subject | None) -> Browser:
            http = await stack.enter_async_context(calling(world, [ConsentPages, MeController, MyPreviewController]))
            if subject is not None:
                _, cookie = await world.services.sessions.create(
                    subject_id=subject.id, kind=subject.kind, display_name=Text("示例居民", "Sample Person")
                )
                http.cookies.set(cookie.key, cookie.value or "")
                http.headers["x-csrf-token"] = (await http.get("/v1/me/session")).json()["data"]["csrf"]
            return Browser(http)

        yield browser


async def asked_by_link(world: World, client: Client, identifier: str, scenario: str = SCENARIO) -> Consent:
    assert client.partner_id is not None
    return await world.services.asks.ask(
        Ask(
            client_id=client.id,
            partner_id=client.partner_id,
            scenario_id=scenario,
            version=None,
            identifier=identifier,
            kind=None,
        )
    )


async def stored(world: World, consent_id: str) -> Consent:
    async with world.services.database.read() as tx:
        return await world.services.consents.find(tx, consent_id)


async def leaves(world: World) -> int:
    async with world.services.database.read() as tx:
        count: int = (await tx.execute(select(func.count()).select_from(ledger_leaves))).scalar_one()
    return count


async def test_whoever_opens_the_link_signs_in_first(world: World, client: Client, browsers: Any) -> None:
    asked = await asked_by_link(world, client, PERSON.value)
    response = await (await browsers(None)).open(f"/consents/{asked.id}")
    assert response.status_code == 303
    assert response.headers["location"] == f"/sign-in?next=/consents/{asked.id}"


async def test_the_named_subject_reads_and_agrees(
    world: World, client: Client, subject: Subject, browsers: Any
) -> None:
    asked = await asked_by_link(world, client, PERSON.value)
    browser = await browsers(subject)
    page = await browser.open(f"/consents/{asked.id}")
    assert page.status_code == 200
    assert "示例机构" in page.text
    (form,) = forms(page)
    done = await browser.press(form, "agree")
    assert (done.status_code, done.headers["location"]) == (303, f"/consents/{asked.id}")
    given = await stored(world, asked.id)
    assert (world.services.consents.state(given), given.subject_id) == (ConsentState.AUTHORISED, subject.id)
    assert "您已同意" in (await browser.open(f"/consents/{asked.id}")).text
    assert (await browser.press(form, "agree")).status_code == 409, "it is answered once"


async def test_the_named_subject_refuses(world: World, client: Client, subject: Subject, browsers: Any) -> None:
    asked = await asked_by_link(world, client, PERSON.value)
    browser = await browsers(subject)
    (form,) = forms(await browser.open(f"/consents/{asked.id}"))
    await browser.press(form, "refuse")
    assert (await stored(world, asked.id)).end_reason is EndReason.REFUSED
    page = (await browser.open(f"/consents/{asked.id}")).text
    assert "您没有同意" in page
    assert "支付押金" in page, "the fallback"


async def test_what_is_not_theirs_is_over_or_never_was_looks_alike(
    world: World, client: Client, subject: Subject, browsers: Any
) -> None:
    asked = await asked_by_link(world, client, PERSON.value)
    redirected = await world.asked(client, SCENARIO, subject)
    over = await asked_by_link(world, client, NEIGHBOUR.value)
    world.clock.advance(timedelta(minutes=60))
    waiting = await asked_by_link(world, client, PERSON.value)
    absent = asked.id[:-1] + ("0" if asked.id[-1] != "0" else "1")
    neighbour = await browsers(await world.subject(NEIGHBOUR))
    pages = [
        await neighbour.open(f"/consents/{consent_id}")
        for consent_id in (waiting.id, asked.id, redirected.id, over.id, absent, "nonsense")
    ]
    assert {page.status_code for page in pages} == {404}
    form = forms(pages[0])[0]
    told = {page.text.replace(forms(page)[0].action, "").replace(forms(page)[0].fields["csrf"], "") for page in pages}
    assert len(told) == 1
    for decision in ("agree", "refuse", "preview"):
        assert (await neighbour.press(form, decision, notice="sha-256:x")).status_code == 404
    assert world.services.consents.state(await stored(world, waiting.id)) is ConsentState.AWAITING_AUTHORISATION


async def test_what_was_asked_by_redirect_is_answered_there(
    world: World, client: Client, subject: Subject, browsers: Any
) -> None:
    asked = await world.asked(client, SCENARIO, subject)
    browser = await browsers(subject)
    page = await browser.open(f"/consents/{asked.id}")
    assert page.status_code == 404
    assert (await browser.press(forms(page)[0], "agree")).status_code == 404


async def test_a_form_of_another_session_decides_nothing(
    world: World, client: Client, subject: Subject, browsers: Any
) -> None:
    asked = await asked_by_link(world, client, PERSON.value)
    (form,) = forms(await (await browsers(subject)).open(f"/consents/{asked.id}"))
    assert (await (await browsers(subject)).press(form, "agree")).status_code == 403
    assert (await (await browsers(None)).press(form, "agree")).status_code == 401


async def test_a_notice_that_changed_is_shown_again(
    world: World, client: Client, subject: Subject, browsers: Any
) -> None:
    asked = await asked_by_link(world, client, PERSON.value)
    browser = await browsers(subject)
    (form,) = forms(await browser.open(f"/consents/{asked.id}"))
    again = await browser.press(form, "agree", notice="sha-256:another")
    assert again.status_code == 200
    assert forms(again)[0].fields["notice"] == form.fields["notice"]


async def test_switching_signs_out_and_leads_back(
    world: World, client: Client, subject: Subject, browsers: Any
) -> None:
    asked = await asked_by_link(world, client, PERSON.value)
    browser = await browsers(subject)
    (form,) = forms(await browser.open(f"/consents/{asked.id}"))
    away = await browser.press(form, "switch")
    assert away.headers["location"] == f"/sign-in?next=/consents/{asked.id}"
    assert (await browser.open(f"/consents/{asked.id}")).status_code == 303


@pytest.mark.parametrize("grade", ["A", None], ids=["met", "not evidenced"])
async def test_the_preview_is_what_a_check_then_tells(
    world: World, client: Client, browsers: Any, grade: str | None
) -> None:
    """Member for member; nothing is spent or logged by looking, and nobody is told."""
    company = await world.subject(COMPANY)
    if grade is not None:
        await world.record(company, "TAX_RATING", year=2025, grade=grade)
    await world.record(company, "TAX_ONTIME", months=30, as_of="2026-10-31")
    await world.record(company, "SOCINS_PAID", months=24, as_of="2026-10-31")
    asked = await asked_by_link(world, client, COMPANY.value, WRITTEN)
    browser, before = await browsers(company), await leaves(world)
    response = await browser.http.post("/v1/me/previews", json={"consent_id": asked.id})
    previewed = response.json()["data"]
    shown = await browser.press(forms(await browser.open(f"/consents/{asked.id}"))[0], "preview")
    assert shown.status_code == 200
    assert ("A 级" in shown.text) is (grade is not None)
    assert (await leaves(world), await stored(world, asked.id)) == (before, asked)
    await browser.press(forms(shown)[-1], "agree")
    result = await world.check(ask(client, asked))
    assert isinstance(result, Answered)
    answer = msgspec.json.decode(result.body)["data"]
    assert previewed == {name: answer[name] for name in previewed}
    assert set(answer) - set(previewed) == {"id", "salts", "consent_expires_at"}
    again = (await browser.http.post("/v1/me/previews", json={"consent_id": asked.id})).json()["data"]
    assert again == previewed


async def test_a_scenario_can_be_previewed_before_anybody_asks(world: World, subject: Subject, browsers: Any) -> None:
    dates: dict[str, Any] = {"from": "2026-01-01", "to": "2027-01-01"}
    await world.record(subject, "REDLIST", list="volunteer", **dates)
    browser = await browsers(subject)
    data = (await browser.http.post("/v1/me/previews", json={"scenario": SCENARIO})).json()["data"]
    assert (data["outcome"], data["subject"], data["disclosed"]) == ("met", None, {})
    other = await browser.http.post("/v1/me/previews", json={"scenario": WRITTEN})
    assert (other.status_code, other.json()["code"]) == (403, "not_entitled")


async def test_nobody_else_previews_a_consent(world: World, client: Client, subject: Subject, browsers: Any) -> None:
    asked = await asked_by_link(world, client, PERSON.value)
    given = await world.consent(client, ONCE, subject)
    absent = given.id[:-1] + ("0" if given.id[-1] != "0" else "1")
    neighbour = await browsers(await world.subject(NEIGHBOUR))
    answers = [
        await neighbour.http.post("/v1/me/previews", json={"consent_id": consent_id})
        for consent_id in (asked.id, given.id, absent)
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}
    assert len({answer.content for answer in answers}) == 1
    both = {"consent_id": given.id, "scenario": SCENARIO}
    for body in ({}, both):
        assert (await neighbour.http.post("/v1/me/previews", json=body)).status_code == 422


async def test_a_written_consent_shows_its_whole_text_and_has_a_copy_for_its_subject_alone(
    world: World, client: Client, browsers: Any
) -> None:
    company = await world.subject(COMPANY)
    asked = await asked_by_link(world, client, COMPANY.value, WRITTEN)
    browser = await browsers(company)
    page = await browser.open(f"/consents/{asked.id}")
    assert "公共信用信息核验授权书" in page.text
    assert (await browser.open(f"/consents/{asked.id}/copy")).status_code == 404, "nobody has agreed yet"
    await browser.press(forms(page)[0], "agree")
    assert f"/consents/{asked.id}/copy.jws" in (await browser.open(f"/consents/{asked.id}")).text
    file = await browser.open(f"/consents/{asked.id}/copy.jws")
    assert file.headers["content-disposition"] == f'attachment; filename="{asked.id}.jws"'
    copy = verify(file.text, world.services.ledger.jwks())
    assert copy.text_digest == (await stored(world, asked.id)).text_digest
    read = await browser.open(f"/consents/{asked.id}/copy")
    assert "不是信用主体的电子签名" in read.text
    neighbour = await browsers(await world.subject(NEIGHBOUR))
    for rest in ("copy", "copy.jws"):
        assert (await neighbour.open(f"/consents/{asked.id}/{rest}")).status_code == 404


async def test_an_extension_is_decided_on_the_same_page(world: World, client: Client, browsers: Any) -> None:
    company = await world.subject(COMPANY)
    consent = await world.consent(client, WRITTEN, company)
    assert client.partner_id is not None
    world.clock.advance(timedelta(days=80))
    extension = await world.services.extensions.request(
        consent.id, partner_id=client.partner_id, client_id=client.id, days=60
    )
    browser = await browsers(company)
    page = await browser.open(f"/consents/{consent.id}")
    assert "60 天" in page.text
    (form,) = forms(page)
    assert form.fields["extension"] == extension.id
    assert (await browser.press(form, "preview")).status_code == 200
    neighbour = await browsers(await world.subject(NEIGHBOUR))
    assert (await neighbour.open(f"/consents/{consent.id}")).status_code == 404
    await browser.press(form, "agree")
    assert (await stored(world, consent.id)).expires_at == world.clock.now() + timedelta(days=60)
    renewed = verify((await browser.open(f"/consents/{consent.id}/copy.jws")).text, world.services.ledger.jwks())
    assert renewed.expires_at == world.clock.now() + timedelta(days=60)
    assert "您已同意" in (await browser.open(f"/consents/{consent.id}")).text


async def test_an_extension_can_be_refused_and_another_one_is_not_decided_by_its_form(
    world: World, client: Client, subject: Subject, browsers: Any
) -> None:
    consent = await world.consent(client, SCENARIO, subject)
    assert client.partner_id is not None
    world.clock.advance(timedelta(days=300))
    await world.services.extensions.request(consent.id, partner_id=client.partner_id, client_id=client.id, days=None)
    browser = await browsers(subject)
    (form,) = forms(await browser.open(f"/consents/{consent.id}"))
    assert (await browser.press(form, "agree", extension="ext_another")).status_code == 409
    await browser.press(form, "refuse")
    assert (await stored(world, consent.id)).expires_at == consent.expires_at
    assert (await browser.press(form, "agree")).status_code == 409, "it is decided once"

"""``/v1/consents``: a partner's own consents, and nobody else's."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import httpx
import pytest

from tests.support.rooms import calling
from tests.support.world import Subject, World
from xinyi.consents.http import ConsentAskController, ConsentController
from xinyi.consents.model import Consent
from xinyi.partners.model import Client
from xinyi.web.principal import Principal, Scope

pytestmark = pytest.mark.anyio
SCENARIO = "bike-deposit"


@pytest.fixture
async def client(world: World) -> Client:
    return await world.client(SCENARIO)


@pytest.fixture
async def subject(world: World) -> Subject:
    return await world.subject()


@pytest.fixture
async def consent(world: World, client: Client, subject: Subject) -> Consent:
    return await world.consent(client, SCENARIO, subject)


def partner(
    world: World, client: Client, *scopes: Scope, bound: str | None = None
) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    principal = Principal(client.id, frozenset(scopes), "jkt", partner_id=client.partner_id, consent_id=bound)
    return calling(world, [ConsentAskController, ConsentController], principal)


async def test_a_partner_sees_how_its_own_consent_stands(
    world: World, client: Client, subject: Subject, consent: Consent
) -> None:
    async with partner(world, client, Scope.CONSENTS) as http:
        response = await http.get(f"/v1/consents/{consent.id}")
    assert response.status_code == 200
    assert response.json()["data"] == {
        "id": consent.id,
        "state": "authorised",
        "scenario": {"id": SCENARIO, "version": 1, "digest": consent.scenario_digest},
        "units": [],
        "form": "separate",
        "uses": "recurring",
        "use_count": 0,
        "sub_party": None,
        "channel": "redirect",
        "subject": world.services.subjects.pairwise(subject.id, consent.partner_id),
        "created_at": "2026-11-02T08:00:00Z",
        "request_expires_at": "2026-11-02T09:00:00Z",
        "authorised_at": "2026-11-02T08:00:00Z",
        "expires_at": "2027-11-02T08:00:00Z",
        "notice_digest": consent.notice_digest,
        "text_digest": None,
        "ended": None,
    }


async def test_the_state_is_computed_when_it_is_asked_for(world: World, client: Client, consent: Consent) -> None:
    world.clock.advance(timedelta(days=365))
    async with partner(world, client, Scope.CONSENTS) as http:
        data = (await http.get(f"/v1/consents/{consent.id}")).json()["data"]
    assert data["state"] == "expired"
    assert data["ended"] == {"at": "2027-11-02T08:00:00Z", "by": "time", "reason": "term_reached"}


async def test_giving_up_twice_answers_the_same(world: World, client: Client, consent: Consent) -> None:
    async with partner(world, client, Scope.CONSENTS) as http:
        first = await http.delete(f"/v1/consents/{consent.id}")
        world.clock.advance(timedelta(minutes=1))
        second = await http.delete(f"/v1/consents/{consent.id}")
    assert first.status_code == 200
    assert first.json()["data"]["ended"] == {
        "at": "2026-11-02T08:00:00Z",
        "by": "partner",
        "reason": "given_up_by_partner",
    }
    assert second.content == first.content


async def test_what_was_never_given_and_is_over_cannot_be_given_up(world: World, client: Client) -> None:
    asked = await world.asked(client, SCENARIO)
    world.clock.advance(timedelta(hours=1))
    async with partner(world, client, Scope.CONSENTS) as http:
        response = await http.delete(f"/v1/consents/{asked.id}")
    assert (response.status_code, response.json()["code"]) == (409, "wrong_state")


async def test_anothers_id_answers_as_one_that_does_not_exist(world: World, consent: Consent) -> None:
    other = await world.client(SCENARIO)
    absent = consent.id[:-1] + ("0" if consent.id[-1] != "0" else "1")
    async with partner(world, other, Scope.CONSENTS) as http:
        answers = [
            await http.request(method, f"/v1/consents/{consent_id}")
            for method in ("GET", "DELETE")
            for consent_id in (consent.id, absent, "nonsense")
        ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


async def test_a_token_of_one_consent_sees_that_one_and_no_other(
    world: World, client: Client, subject: Subject, consent: Consent
) -> None:
    second = await world.consent(client, SCENARIO, subject)
    async with partner(world, client, Scope.CHECKS, bound=consent.id) as http:
        assert (await http.get(f"/v1/consents/{consent.id}")).status_code == 200
        assert (await http.get(f"/v1/consents/{second.id}")).status_code == 404
        assert (await http.delete(f"/v1/consents/{second.id}")).status_code == 404


async def test_the_scope_for_checks_alone_does_not_show_consents(
    world: World, client: Client, consent: Consent
) -> None:
    async with partner(world, client, Scope.CHECKS) as http:
        response = await http.get(f"/v1/consents/{consent.id}")
    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")


async def test_nobody_is_served_without_a_token(world: World, consent: Consent) -> None:
    async with calling(world, [ConsentController]) as http:
        response = await http.get(f"/v1/consents/{consent.id}")
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")

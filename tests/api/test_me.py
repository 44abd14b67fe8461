"""``/v1/me`` and ``/me``: a subject's own, by the portal's session and its token."""

from collections.abc import AsyncGenerator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.pairs import Pair
from tests.support.rooms import calling
from tests.support.world import Subject, World, ask, new_world
from xinyi.consents.model import Consent
from xinyi.kernel.text import Text
from xinyi.partners.model import Client
from xinyi.portal.http import MeController
from xinyi.portal.http_records import MyRecordController
from xinyi.portal.pages import PortalPages
from xinyi.sandbox import identities

pytestmark = pytest.mark.anyio
SCENARIO = "bike-deposit"
CHANGES = [
    ("POST", "/v1/me/consents/{id}/revoke", None),
    ("POST", "/v1/me/consents/{id}/pause", None),
    ("POST", "/v1/me/consents/{id}/resume", None),
    ("POST", "/v1/me/withholdings", {"scenario": SCENARIO, "record_type": "SOCINS_PAID"}),
    ("DELETE", f"/v1/me/withholdings/{SCENARIO}/SOCINS_PAID", None),
    ("POST", "/v1/me/suppressions", {"record_id": "rec_x"}),
    ("DELETE", "/v1/me/suppressions/rec_x", None),
    ("POST", "/v1/me/disputes", {"record_id": "rec_x"}),
]


@pytest.fixture
async def world(tmp_path: Path, pair: Pair) -> AsyncGenerator[World]:
    async with new_world(tmp_path, pair) as fresh:
        yield fresh


@pytest.fixture
async def client(world: World) -> Client:
    return await world.client(SCENARIO)


@pytest.fixture
async def subject(world: World) -> Subject:
    return await world.subject()


@pytest.fixture
async def consent(world: World, client: Client, subject: Subject) -> Consent:
    return await world.consent(client, SCENARIO, subject)


@pytest.fixture
async def nobody(world: World) -> AsyncGenerator[httpx.AsyncClient]:
    """A browser where nobody is signed in."""
    async with calling(world, [MeController, MyRecordController, PortalPages]) as http:
        yield http


@pytest.fixture
async def me(world: World, subject: Subject, nobody: httpx.AsyncClient) -> httpx.AsyncClient:
    """The subject's browser."""
    return await signed_in(world, subject, nobody)


async def signed_in(world: World, subject: Subject, http: httpx.AsyncClient) -> httpx.AsyncClient:
    _, cookie = await world.services.sessions.create(
        subject_id=subject.id,
        kind=subject.kind,
        display_name=Text("示例居民", "Sample Person"),
    )
    http.cookies.clear()
    http.cookies.set(cookie.key, cookie.value or "")
    http.headers["x-csrf-token"] = (await http.get("/v1/me/session")).json()["data"]["csrf"]
    return http


async def data(http: httpx.AsyncClient, path: str) -> Any:
    response = await http.get(path)
    assert response.status_code == 200
    return response.json()["data"]


async def test_the_session_says_who_is_signed_in(me: httpx.AsyncClient) -> None:
    who = await data(me, "/v1/me/session")
    assert who["display_name"] == {"zh": "示例居民", "en": "Sample Person"}
    assert who["kind"] == "natural_person"
    assert who["csrf"]


async def test_a_subject_sees_their_consents_with_partner_scenario_and_uses(
    me: httpx.AsyncClient, consent: Consent
) -> None:
    (mine,) = await data(me, "/v1/me/consents")
    assert mine["id"] == consent.id
    assert mine["state"] == "authorised"
    assert mine["partner"] == {"id": consent.partner_id, "name": {"zh": "示例机构", "en": "Sample Partner"}}
    assert mine["scenario"]["id"] == SCENARIO
    assert (mine["use_count"], mine["expires_at"], mine["ended"]) == (0, "2027-11-02T08:00:00Z", None)


async def test_pausing_resuming_and_revoking_answer_with_the_new_state(me: httpx.AsyncClient, consent: Consent) -> None:
    states = []
    for change in ("pause", "resume", "pause", "revoke", "revoke"):
        response = await me.post(f"/v1/me/consents/{consent.id}/{change}")
        assert response.status_code == 200
        states.append(response.json()["data"]["state"])
    assert states == ["paused", "authorised", "paused", "withdrawn", "withdrawn"]
    refused = await me.post(f"/v1/me/consents/{consent.id}/resume")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


async def test_anothers_consent_answers_as_one_that_does_not_exist(
    world: World, client: Client, me: httpx.AsyncClient
) -> None:
    other = await world.subject(identities.person(1, date(1991, 1, 1), 8))
    theirs = await world.consent(client, SCENARIO, other)
    absent = theirs.id[:-1] + ("0" if theirs.id[-1] != "0" else "1")
    answers = [
        await me.post(f"/v1/me/consents/{consent_id}/{change}")
        for consent_id in (theirs.id, absent)
        for change in ("revoke", "pause", "resume")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert await data(me, "/v1/me/consents") == []


async def test_a_subject_sees_their_records_and_contests_and_suppresses_them(
    world: World, subject: Subject, me: httpx.AsyncClient
) -> None:
    paid = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    honour = await world.record(subject, "HONOUR", title="示例", level="municipal", date="2025-01-01")
    assert (await me.post("/v1/me/disputes", json={"record_id": paid})).status_code == 201
    assert (await me.post("/v1/me/suppressions", json={"record_id": honour})).status_code == 204
    records = {record["id"]: record for record in await data(me, "/v1/me/records")}
    assert records[paid]["record_type"]["id"] == "SOCINS_PAID"
    assert records[paid]["fields"] == {"months": 12, "as_of": "2026-10-31"}
    assert (records[paid]["disputed"], records[paid]["suppressible"]) == (True, False)
    assert (records[honour]["suppressed"], records[honour]["suppressible"]) == (True, True)
    assert (await me.delete(f"/v1/me/suppressions/{honour}")).status_code == 204
    records = {record["id"]: record for record in await data(me, "/v1/me/records")}
    assert not records[honour]["suppressed"]


async def test_only_what_the_data_list_leaves_to_the_subject_can_be_suppressed(
    world: World, subject: Subject, me: httpx.AsyncClient
) -> None:
    paid = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    response = await me.post("/v1/me/suppressions", json={"record_id": paid})
    assert (response.status_code, response.json()["code"]) == (409, "wrong_state")


async def test_anothers_record_answers_as_one_that_does_not_exist(world: World, me: httpx.AsyncClient) -> None:
    other = await world.subject(identities.person(1, date(1991, 1, 1), 8))
    theirs = await world.record(other, "HONOUR", title="示例", level="municipal", date="2025-01-01")
    answers = [
        await me.post(f"/v1/me/{what}", json={"record_id": record_id})
        for what in ("disputes", "suppressions")
        for record_id in (theirs, "rec_absent")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


async def test_a_record_type_is_withheld_from_a_scenario_and_given_back(me: httpx.AsyncClient) -> None:
    wanted = {"scenario": SCENARIO, "record_type": "SOCINS_PAID"}
    for _ in range(2):
        response = await me.post("/v1/me/withholdings", json=wanted)
        assert (response.status_code, response.json()["data"]) == (200, wanted)
    assert await data(me, "/v1/me/withholdings") == [wanted]
    assert (await me.delete(f"/v1/me/withholdings/{SCENARIO}/SOCINS_PAID")).status_code == 204
    assert await data(me, "/v1/me/withholdings") == []


@pytest.mark.parametrize(
    "wanted",
    [{"scenario": "no-such", "record_type": "SOCINS_PAID"}, {"scenario": SCENARIO, "record_type": "NO_SUCH"}],
)
async def test_what_is_not_published_cannot_be_withheld(me: httpx.AsyncClient, wanted: dict[str, str]) -> None:
    assert (await me.post("/v1/me/withholdings", json=wanted)).status_code == 404


@pytest.mark.parametrize("path", ["session", "consents", "records", "withholdings"])
async def test_without_a_session_nothing_is_shown(nobody: httpx.AsyncClient, path: str) -> None:
    response = await nobody.get(f"/v1/me/{path}")
    assert (response.status_code, response.json()["code"]) == (401, "session_required")


@pytest.mark.parametrize("token", [None, "", "wrong", "é"])
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_without_the_sessions_token_nothing_changes(
    me: httpx.AsyncClient, consent: Consent, method: str, path: str, body: dict[str, str] | None, token: str | None
) -> None:
    del me.headers["x-csrf-token"]
    headers = [] if token is None else [(b"x-csrf-token", token.encode("latin-1"))]
    response = await me.request(method, path.replace("{id}", consent.id), json=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "csrf")
    (mine,) = await data(me, "/v1/me/consents")
    assert mine["state"] == "authorised"


async def test_the_token_of_another_session_does_not_do(world: World, me: httpx.AsyncClient, consent: Consent) -> None:
    foreign = me.headers["x-csrf-token"]
    await signed_in(world, await world.subject(), me)
    response = await me.post(f"/v1/me/consents/{consent.id}/revoke", headers={"x-csrf-token": foreign})
    assert (response.status_code, response.json()["code"]) == (403, "csrf")


async def test_the_page_withdraws_by_one_form_and_redirects(me: httpx.AsyncClient, consent: Consent) -> None:
    token = me.headers.pop("x-csrf-token")
    response = await me.post(f"/me/consents/{consent.id}/withdraw", data={"csrf": token})
    assert (response.status_code, response.headers["location"]) == (303, "/me")
    (mine,) = await data(me, "/v1/me/consents")
    assert mine["state"] == "withdrawn"


@pytest.mark.parametrize("form", [{"csrf": ""}, {"csrf": "wrong"}])
async def test_the_pages_forms_need_the_token(me: httpx.AsyncClient, consent: Consent, form: dict[str, str]) -> None:
    response = await me.post(f"/me/consents/{consent.id}/withdraw", data=form)
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("text/html")
    (mine,) = await data(me, "/v1/me/consents")
    assert mine["state"] == "authorised"


async def test_who_is_not_signed_in_is_sent_to_the_sign_in_and_back(nobody: httpx.AsyncClient) -> None:
    response = await nobody.get("/me")
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=/me")


async def test_signing_out_ends_the_session_at_once(me: httpx.AsyncClient) -> None:
    token = me.headers["x-csrf-token"]
    cookies = dict(me.cookies)
    response = await me.post("/me/sign-out", data={"csrf": token})
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    for name, value in cookies.items():
        me.cookies.set(name, value)
    assert (await me.get("/v1/me/session")).status_code == 401


async def test_the_page_holds_to_its_policy(me: httpx.AsyncClient, consent: Consent) -> None:
    response = await me.get("/me")
    assert response.status_code == 200
    assert consent.id in response.text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in response.text
    assert response.headers["cache-control"] == "no-store"


MULTIPART = "multipart/form-data; boundary=x; charset=made-up"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\nx\r\n--x--\r\n', MULTIPART, 415),
        (b"csrf=x", "text/plain", 415),
        (b"csrf=%ff", FORM, 400),
        (b"csrf=x&csrf=y", FORM, 400),
        (b"csrf=" + b"x" * 10_000, FORM, 413),
        (b"csrf=x", FORM, 403),
    ],
)
async def test_a_form_is_read_strictly_and_a_page_says_what_is_wrong(
    me: httpx.AsyncClient, content: bytes, media_type: str, status: int
):
    for path in ("/me/sign-out", "/me/consents/cns_x/pause"):
        response = await me.post(path, content=content, headers={"content-type": media_type})
        assert (response.status_code, response.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert "form-action 'self'" in response.headers["content-security-policy"]
    assert (await me.get("/me")).status_code == 200


async def test_nothing_is_read_of_a_stranger(nobody: httpx.AsyncClient):
    for method, path, body in CHANGES:
        if body is not None:
            response = await nobody.request(method, path, content=b"{")
            assert (response.status_code, response.json()["code"]) == (401, "session_required")


async def test_the_pages_show_uses_and_who_looked(
    world: World, client: Client, consent: Consent, me: httpx.AsyncClient
) -> None:
    await me.put("/v1/me/preferences", json={"notice_after_use": True})
    await world.check(ask(client, consent, reference="RIDE-1"))
    mine, log = await me.get("/me"), await me.get("/me/access-log")
    assert (mine.status_code, log.status_code) == (200, 200)
    assert "已核验 1 次，最近一次" in mine.text
    assert "又被核验了 1 次" in mine.text
    assert "RIDE-1" in log.text
    assert "已写入公开账本，此后不能更改或删除" in log.text

"""``/v1/me`` and ``/me``: a subject's own, by the portal's session and its token."""

import io
import json
from collections.abc import AsyncGenerator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, update

from tests.support.rooms import calling
from tests.support.world import SOURCE, Subject, World, ask
from xinyi.checks.model import Answered
from xinyi.checks.tables import checks
from xinyi.consents.model import Consent
from xinyi.kernel.text import Text
from xinyi.ledger.checkpoint import CheckpointKeys
from xinyi.ledger.receipt import read_receipt
from xinyi.partners.model import Client
from xinyi.portal.http import MeController
from xinyi.portal.http_records import MyRecordController
from xinyi.portal.pages import PortalPages
from xinyi.records.rows import Format
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
    ("DELETE", "/v1/me/disputes/dsp_x", None),
    ("PUT", "/v1/me/preferences", {"notice_after_use": True}),
    ("POST", "/v1/me/inbox/read", None),
]


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


async def test_what_is_kept_off_and_sent_again_is_shown_as_kept_off(
    world: World, subject: Subject, me: httpx.AsyncClient
) -> None:
    said: dict[str, Any] = {"title": "示例", "level": "municipal", "date": "2025-01-01"}
    honour = await world.record(subject, "HONOUR", **said)
    await me.post("/v1/me/suppressions", json={"record_id": honour})
    row = {"subject": subject.identifier.value, "record_type": "HONOUR", "source_ref": "again", "region": "990001"}
    imports = world.services.imports
    batch = await imports.open(SOURCE, Format.NDJSON, None)
    await imports.run(batch, io.BytesIO(json.dumps({**row, "observed_at": "2026-11-02", "fields": said}).encode()))
    records = {record["id"]: record for record in await data(me, "/v1/me/records")}
    assert [record["suppressed"] for record in records.values()] == [True, True]
    page = (await me.get("/me/records")).text
    assert page.count('<span class="tag">不予记入</span>') == page.count("/count-again") == 2
    [wish] = (await data(me, "/v1/me/export"))["suppressions"]
    assert (wish["record_type"]["id"], wish["since"]) == ("HONOUR", "2026-11-02T08:00:00Z")
    [again] = records.keys() - {honour}
    assert (await me.delete(f"/v1/me/suppressions/{again}")).status_code == 204
    assert "/count-again" not in (await me.get("/me/records")).text


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


async def test_without_a_session_nothing_is_shown(nobody: httpx.AsyncClient) -> None:
    for path in (
        "session",
        "consents",
        "records",
        "withholdings",
        "disputes",
        "inbox",
        "access-log",
        "access-log/chk_01m6dmbe00q3wr5eyp4zx8yr14",
        "export",
        "preferences",
    ):
        response = await nobody.get(f"/v1/me/{path}")
        assert (response.status_code, response.json()["code"]) == (401, "session_required")


async def test_without_the_sessions_token_nothing_changes(me: httpx.AsyncClient, consent: Consent) -> None:
    del me.headers["x-csrf-token"]
    for method, path, body in CHANGES:
        for token in (None, "", "wrong", "é"):
            headers = [] if token is None else [(b"x-csrf-token", token.encode("latin-1"))]
            response = await me.request(method, path.replace("{id}", consent.id), json=body, headers=headers)
            assert (response.status_code, response.json()["code"]) == (403, "csrf"), (method, path, token)
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


async def test_who_opens_the_address_of_a_form_gets_a_page(me: httpx.AsyncClient) -> None:
    response = await me.get("/me/sign-out", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (response.status_code, response.headers["allow"]) == (405, "OPTIONS, POST")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert 'href="/me"' in response.text
    assert (await me.get("/me/sign-out")).headers["content-type"] == "application/problem+json"


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


async def test_the_access_log_goes_on_page_by_page(
    world: World, client: Client, consent: Consent, me: httpx.AsyncClient
) -> None:
    for number in range(3):
        world.clock.advance(timedelta(seconds=1))
        await world.check(ask(client, consent, reference=f"RIDE-{number}"))
    first = (await me.get("/v1/me/access-log", params={"limit": 2})).json()
    rest = (await me.get(first["links"]["next"])).json()
    assert [each["reference"] for page in (first, rest) for each in page["data"]] == ["RIDE-2", "RIDE-1", "RIDE-0"]
    assert rest["meta"]["next_cursor"] is None
    assert {each["proof"]["state"] for page in (first, rest) for each in page["data"]} == {"included"}
    assert {each["proof"]["tree_size"] for each in first["data"]} == {5}, "under the newest checkpoint"


@pytest.mark.parametrize("column", ["outcome", "reference", "body"])
async def test_an_entry_whose_row_was_changed_does_not_verify(
    world: World, client: Client, consent: Consent, me: httpx.AsyncClient, column: str
) -> None:
    await world.check(ask(client, consent))
    async with world.services.database.transaction() as tx:
        await tx.execute(update(checks).values({column: func.replace(checks.c[column], "not_evidenced", "met")}))
        await tx.execute(update(checks).values(reference=checks.c.reference + "0" * (column == "reference")))
    [entry] = await data(me, "/v1/me/access-log")
    assert entry["proof"]["state"] == "failed"
    assert "核对未通过" in (await me.get("/me/access-log")).text


async def test_an_entry_is_taken_along_with_what_verifies_it(
    world: World, client: Client, consent: Consent, me: httpx.AsyncClient
) -> None:
    await world.check(ask(client, consent))
    await world.check(ask(client, consent))
    newest, oldest = await data(me, "/v1/me/access-log")
    file = await data(me, f"/v1/me/access-log/{oldest['id']}")
    assert file["entry"] == oldest
    body, checkpoint = read_receipt(file["receipt"], CheckpointKeys(world.services.ledger.jwks()))
    assert json.loads(body)["id"] == file["answer"]["id"] == oldest["id"]
    assert checkpoint.tree_size == newest["proof"]["tree_size"], "the newest, not the one that it was made under"
    alone = await me.get(f"/me/access-log/{oldest['id']}/receipt.txt")
    assert alone.text == file["receipt"]
    assert "attachment" in alone.headers["content-disposition"]


async def test_anothers_look_answers_as_one_that_does_not_exist(
    world: World, client: Client, me: httpx.AsyncClient
) -> None:
    other = await world.subject(identities.person(1, date(1991, 1, 1), 8))
    answered = await world.check(ask(client, await world.consent(client, SCENARIO, other)))
    assert isinstance(answered, Answered)
    absent = answered.check_id[:-1] + ("0" if answered.check_id[-1] != "0" else "1")
    answers = [await me.get(f"/v1/me/access-log/{each}") for each in (answered.check_id, absent, "nonsense")]
    assert {each.status_code for each in answers} == {404}
    assert len({each.content for each in answers}) == 1
    assert await data(me, "/v1/me/access-log") == []


async def test_a_dispute_is_shown_with_its_deadline_and_taken_back(
    world: World, subject: Subject, me: httpx.AsyncClient
) -> None:
    record = await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    said = {"record_id": record, "statement": "漏记了2026年9月。"}
    first, again = [(await me.post("/v1/me/disputes", json=said)).json()["data"] for _ in range(2)]
    assert first == again
    assert (first["state"], first["due_at"]) == ("open", "2026-11-09T16:00:00Z")
    assert (await me.delete(f"/v1/me/disputes/{first['id']}")).status_code == 204
    [dispute] = await data(me, "/v1/me/disputes")
    assert (dispute["state"], dispute["settled_by"]) == ("taken_back", "subject")
    [mine] = await data(me, "/v1/me/records")
    assert not mine["disputed"]


async def test_everything_is_exported_and_printed(
    world: World, subject: Subject, client: Client, consent: Consent, me: httpx.AsyncClient
) -> None:
    await world.record(subject, "SOCINS_PAID", months=12, as_of="2026-10-31")
    await world.check(ask(client, consent, reference="RIDE-1"))
    export = await data(me, "/v1/me/export")
    assert export["identifier"] == subject.identifier.value
    assert [each["entry"]["reference"] for each in export["access_log"]] == ["RIDE-1"]
    assert export["records"][0]["shown"][0]["value"] == {"zh": "12 个月", "en": "12 months"}
    file = await me.get("/me/export")
    assert file.headers["content-disposition"] == 'attachment; filename="xinyi-20261102.json"'
    assert file.json()["access_log"] == export["access_log"]
    printed = (await me.get("/me/print")).text
    assert all(word in printed for word in (subject.identifier.value, "RIDE-1", "12 个月", "示例来源"))


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/me/records/{record}/contest", {}),
        ("/me/records/{record}/keep-off", {}),
        ("/me/withholdings/keep", {"what": f"{SCENARIO}/HONOUR"}),
        ("/me/data/notices", {"wanted": "yes"}),
        ("/me/inbox/read", {}),
    ],
)
async def test_each_form_of_the_pages_needs_its_token_and_ends_in_a_redirect(
    world: World, subject: Subject, me: httpx.AsyncClient, path: str, form: dict[str, str]
) -> None:
    record = await world.record(subject, "HONOUR", title="示例", level="municipal", date="2025-01-01")
    token = me.headers.pop("x-csrf-token")
    address = path.replace("{record}", record)
    assert (await me.post(address, data={**form, "csrf": "wrong"})).status_code == 403
    assert (await me.post(address, data={**form, "csrf": token})).status_code == 303


@pytest.mark.parametrize("path", ["/me/records/rec_x/erase", "/me/withholdings/sell", "/me/consents/cns_x/give"])
async def test_a_button_that_is_not_there_is_not_found(me: httpx.AsyncClient, path: str) -> None:
    assert (await me.post(path, data={"csrf": me.headers["x-csrf-token"]})).status_code == 404

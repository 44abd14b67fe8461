"""``GET /v1/checks`` and feedback on checks, over HTTP with real tokens, proofs and consents."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from tests.support.oauth import PartnerProgram, Platform
from xinyi.checks.tables import checks
from xinyi.consents.model import Party
from xinyi.feedback import repo as feedback_repo
from xinyi.feedback import service as feedback_service

BIKE, RIDE = "bike-deposit", "power-bank-deposit"


class Caller:
    """A partner's program with a token, and consents of person A."""

    def __init__(self, platform: Platform, program: PartnerProgram, token: str) -> None:
        self.platform = platform
        self.program = program
        self.token = token

    async def call(self, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        token = token or self.token
        proof = self.program.proof(method, path.partition("?")[0], token=token)
        return await self.program.call(method, path, token, proof=proof, **more)

    async def consent(self, scenario: str = BIKE) -> tuple[str, str]:
        """A consent, and the token that is bound to it."""
        request_uri = (await self.program.par(scenario)).json()["request_uri"]
        code = await self.platform.subject().agree(self.program, request_uri, "person-a")
        bound = (await self.program.redeem(code)).json()
        return bound["authorization_details"][0]["consent_id"], bound["access_token"]

    async def check(self, consent_id: str, reference: str, scenario: str = BIKE) -> str:
        body = {"scenario": scenario, "consent_id": consent_id, "reference": reference}
        answer = (await self.call("POST", "/v1/checks", json=body)).json()
        found: str = answer["data"]["id"] if "data" in answer else answer["instance"].rpartition("/")[2]
        return found

    async def listed(self, query: str = "", token: str | None = None) -> list[dict[str, Any]]:
        response = await self.call("GET", f"/v1/checks{query}", token)
        assert response.status_code == 200, response.text
        return list(response.json()["data"])


@pytest.fixture
async def caller(platform: Platform) -> Caller:
    program = await platform.partner(BIKE, RIDE)
    return Caller(platform, program, await program.token())


async def test_checks_are_listed_with_what_they_came_to_the_newest_first(caller: Caller) -> None:
    consent_id, _ = await caller.consent()
    first = await caller.check(consent_id, "CASE-1")
    caller.platform.clock.advance(timedelta(seconds=1))
    refused = await caller.check(consent_id, "CASE-2", RIDE)
    listed = await caller.listed()
    assert [each["id"] for each in listed] == [refused, first]
    assert listed[1] == {
        "id": first,
        "scenario": BIKE,
        "consent_id": consent_id,
        "reference": "CASE-1",
        "outcome": "not_evidenced",
        "refusal": None,
        "created_at": listed[1]["created_at"],
    }
    assert (listed[0]["outcome"], listed[0]["refusal"]) == (None, "scenario_mismatch")


async def test_a_reader_walks_page_by_page(caller: Caller) -> None:
    consent_id, _ = await caller.consent()
    made = set()
    for number in range(5):
        made.add(await caller.check(consent_id, f"CASE-{number % 2}"))
        caller.platform.clock.advance(timedelta(seconds=1))
    for query, wanted in (("", made), ("&reference=CASE-1", None)):
        found: list[str] = []
        path: str | None = f"/v1/checks?limit=2{query}"
        while path is not None:
            page = (await caller.call("GET", path)).json()
            assert len(page["data"]) <= 2
            found += [each["id"] for each in page["data"]]
            path = page.get("links", {}).get("next")
            assert (path is None) == (page["meta"]["next_cursor"] is None)
        assert found == sorted(found, reverse=True)
        assert set(found) == wanted if wanted else len(found) == 2


async def test_filters(caller: Caller) -> None:
    bike, _ = await caller.consent()
    ride, _ = await caller.consent(RIDE)
    first = await caller.check(bike, "CASE 1")
    caller.platform.clock.advance(timedelta(minutes=1))
    between = caller.platform.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    second = await caller.check(ride, "CASE 2", RIDE)
    for query, wanted in (
        (f"?scenario={RIDE}", [second]),
        (f"?consent_id={bike}", [first]),
        ("?reference=CASE%201", [first]),
        (f"?since={between}", [second]),
        (f"?until={between}", [first]),
        (f"?scenario={RIDE}&consent_id={bike}", []),
    ):
        assert [each["id"] for each in await caller.listed(query)] == wanted, query
    for wrong in ("?since=2026-01-01T00:00:00", "?since=today", "?limit=0", "?limit=201", "?cursor=chk_1"):
        assert (await caller.call("GET", f"/v1/checks{wrong}")).status_code in {400, 422}, wrong


async def test_after_a_withdrawal_the_outcome_is_told_no_more(caller: Caller) -> None:
    consent_id, _ = await caller.consent()
    check_id = await caller.check(consent_id, "CASE-1")
    withdrawn = await caller.call("DELETE", f"/v1/consents/{consent_id}")
    assert withdrawn.status_code == 200
    [listed] = await caller.listed()
    assert (listed["id"], listed["outcome"], listed["refusal"]) == (check_id, None, "consent_withdrawn")


async def test_nobody_lists_the_checks_of_others(caller: Caller, platform: Platform) -> None:
    consent_id, bound = await caller.consent()
    other_consent, _ = await caller.consent(RIDE)
    mine = await caller.check(consent_id, "CASE-1")
    await caller.check(other_consent, "CASE-2", RIDE)
    stranger = await platform.partner(BIKE)
    assert await Caller(platform, stranger, await stranger.token()).listed() == []
    assert [each["id"] for each in await caller.listed("", bound)] == [mine]
    assert await caller.listed(f"?consent_id={other_consent}", bound) == []


async def test_feedback_is_said_said_again_and_changed(caller: Caller) -> None:
    consent_id, _ = await caller.consent()
    path = f"/v1/checks/{await caller.check(consent_id, 'CASE-1')}/feedback"
    assert (await caller.call("GET", path)).status_code == 404

    first = await caller.call("POST", path, json={"result": "offered"})
    assert first.status_code == 200, first.text
    caller.platform.clock.advance(timedelta(minutes=1))
    assert (await caller.call("POST", path, json={"result": "offered"})).json() == first.json()
    changed = (await caller.call("POST", path, json={"result": "granted", "benefit_band": "up_to_500"})).json()["data"]
    assert changed["created_at"] == first.json()["data"]["created_at"] < changed["changed_at"]
    assert (await caller.call("GET", path)).json()["data"] == changed
    assert (changed["result"], changed["benefit_band"]) == ("granted", "up_to_500")


@pytest.mark.parametrize(
    "body",
    [
        {"result": "defaulted"},
        {"result": "late"},
        {"result": "not_used", "benefit_band": "up_to_100"},
        {"result": "granted", "note": "came late"},
        {"result": "granted", "benefit_band": 120},
        {},
    ],
)
async def test_feedback_has_no_word_for_how_anybody_behaved(caller: Caller, body: dict[str, Any]) -> None:
    consent_id, _ = await caller.consent()
    path = f"/v1/checks/{await caller.check(consent_id, 'CASE-1')}/feedback"
    assert (await caller.call("POST", path, json=body)).status_code == 422
    assert (await caller.call("GET", path)).status_code == 404


async def test_feedback_is_on_own_answers_alone_and_outlives_the_consent(caller: Caller, platform: Platform) -> None:
    consent_id, _ = await caller.consent()
    check_id = await caller.check(consent_id, "CASE-1")
    refused = await caller.check(consent_id, "CASE-2", RIDE)
    said = {"result": "granted"}
    assert (await caller.call("POST", f"/v1/checks/{refused}/feedback", json=said)).json()["code"] == "wrong_state"
    stranger = await platform.partner(BIKE)
    other = Caller(platform, stranger, await stranger.token())
    calls: tuple[tuple[str, dict[str, Any]], ...] = (("POST", {"json": said}), ("GET", {}))
    for method, body in calls:
        theirs = await other.call(method, f"/v1/checks/{check_id}/feedback", **body)
        nobodys = await other.call(method, f"/v1/checks/{check_id[:-1]}x/feedback", **body)
        assert theirs.status_code == nobodys.status_code == 404
    consents = platform.service("consents")
    consent = await consents.of_partner(consent_id, caller.program.client.partner_id)
    await consents.withdraw(consent_id, by=Party.SUBJECT, who=consent.subject_id)
    assert (await caller.call("POST", f"/v1/checks/{check_id}/feedback", json=said)).status_code == 200


async def test_feedback_goes_with_the_check_a_part_at_a_time(
    caller: Caller, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_service, "AT_ONCE", 2)
    parts: list[int] = []
    remove = feedback_repo.remove_orphans

    async def counted(tx: Any, limit: int) -> int:
        parts.append(await remove(tx, limit))
        return parts[-1]

    monkeypatch.setattr(feedback_repo, "remove_orphans", counted)
    consent_id, _ = await caller.consent()
    kept, *gone = [await caller.check(consent_id, f"CASE-{number}") for number in range(4)]
    for check_id in (kept, *gone):
        await caller.call("POST", f"/v1/checks/{check_id}/feedback", json={"result": "granted"})
    async with platform.service("database").transaction() as tx:
        await tx.execute(delete(checks).where(checks.c.id.in_(gone)))
    assert [await platform.service("feedback").sweep() for _ in range(2)] == [3, 0]
    assert parts == [2, 1, 0]
    assert (await caller.call("GET", f"/v1/checks/{kept}/feedback")).status_code == 200

"""Another tenant's id answers as one that doesn't exist: 404, and the same bytes, in every operation of the document.

Every operation is named here, with what its identifiers name. One that the document has and this list hasn't fails.
The same interaction id is sent with both requests, so that nothing of the answers may differ, headers included; an id
that an answer repeats would stand in both, so both are compared with it left out.
"""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.batches import finish
from tests.support.oauth import running_platform, without_numbers
from tests.support.pairs import Pair
from tests.support.tenants import INTERACTION, SCENARIO, Operation, Tenant, new_tenant, operations
from tests.support.world import PERSON

ID: Final = re.compile(r"[a-z]{2,4}_[0-9a-z]{26}$")
ONE: Final = "6ba7b814-9dad-41d1-80b4-00c04fd430c8"

PUBLIC: Final = {
    "scenario_id", "version", "size", "first", "second", "leaf_hash", "tree_size", "scenario", "record_type",
}  # fmt: skip
"""Parameters that name what everybody may see."""
PLAIN: Final = {
    "limit",
    "cursor",
    "state",
    "type",
    "idempotency-key",
    "x-csrf-token",
    "source_ref",
    "reference",
    "since",
    "until",
    "from",
    "to",
    "by",
}
"""Parameters that name nothing of anybody's, or only something among the caller's own."""

THINGS: Final[dict[str, dict[str, str]]] = {
    # operation: {parameter in the path, or /member of the body: the kind of thing that it names}
    "getCheckBatch": {"batch_id": "check_batch"},
    "listCheckBatchItems": {"batch_id": "check_batch"},
    "createCheck": {"/consent_id": "consent"},
    "getCheck": {"check_id": "check"},
    "getCheckReceipt": {"check_id": "check"},
    "giveCheckFeedback": {"check_id": "check"},
    "getCheckFeedback": {"check_id": "check"},
    "askForConsent": {"/sub_party": "sub_party"},
    "getConsent": {"consent_id": "consent"},
    "giveUpConsent": {"consent_id": "consent"},
    "getConsentCopy": {"consent_id": "consent"},
    "listExtensions": {"consent_id": "consent"},
    "askForExtension": {"consent_id": "consent"},
    "remindOfConsent": {"consent_id": "asked_consent"},
    "answerDispute": {"dispute_id": "dispute"},
    "getEventSubscription": {"subscription_id": "subscription"},
    "deleteEventSubscription": {"subscription_id": "subscription"},
    "changeEventSubscription": {"subscription_id": "subscription"},
    "listEventDeliveries": {"subscription_id": "subscription"},
    "redeliverEvents": {"subscription_id": "subscription"},
    "rollEventSubscriptionSecret": {"subscription_id": "subscription"},
    "testEventSubscription": {"subscription_id": "subscription"},
    "previewMyself": {"/consent_id": "consent"},
    "getMyAccessLogEntry": {"check_id": "check"},
    "pauseMyConsent": {"consent_id": "consent"},
    "resumeMyConsent": {"consent_id": "consent"},
    "revokeMyConsent": {"consent_id": "consent"},
    "disputeMyRecord": {"/record_id": "record"},
    "takeMyDisputeBack": {"dispute_id": "dispute"},
    "suppressMyRecord": {"/record_id": "record"},
    "unsuppressMyRecord": {"record_id": "record"},
    "removeKey": {"key_id": "key"},
    "getRecordBatch": {"batch_id": "record_batch"},
    "listRecordBatchErrors": {"batch_id": "record_batch"},
    "correctRecord": {"record_id": "record"},
    "withdrawRecord": {"record_id": "record"},
}
FILTERS: Final = {"listChecks": {"consent_id": "consent"}, "listConsents": {"sub_party": "sub_party"}}
"""Parameters of lists that show what goes with a thing: with another's, as with nobody's, nothing does."""
NAMES_NOTHING: Final = {
    # no identifier of anything that is somebody's: public, or all of the caller's own
    "getAuthorizationServerMetadata", "getProtectedResourceMetadata", "getLiveness", "getReadiness",
    "getAuthorizationDetailsTypes", "getAuthorizationDetailsSchema", "getTokenKeys", "listBehaviours",
    "getLatestCheckpoint", "getCheckpoint", "getLedgerKeys", "proveConsistency", "proveInclusion",
    "listErrorCodes", "listOutcomes", "listRecordTypes", "listScenarios", "getScenario", "getScenarioVersion",
    "createDryRun", "createRecordBatch", "listRecords", "repairRecords", "listConsents",
    "listDisputes",
    "createEventSubscription", "listEventSubscriptions", "listEvents", "listMyAccessLog", "listMyConsents",
    "listMyDisputes", "exportMyData", "getMyInbox", "markMyInboxRead", "getMyPreferences", "setMyPreferences",
    "listMyRecords", "getMySession", "listMyWithholdings", "withholdMyRecords", "unwithholdMyRecords",
    "getPartner", "listKeys", "addKey", "listChecks", "listSubParties", "getUsage", "getQuota",
}  # fmt: skip
BY_THEMSELVES: Final = {
    # what they take is a secret or a list: tests of their own, in this file or where it says
    "createCheckBatch": "test_anothers_consent_within_a_batch_is_one_that_doesnt_exist",
    "introspectToken": "test_anothers_token_is_one_that_isnt_active",
    "revokeToken": "test_anothers_token_is_one_that_isnt_active",
    "pushAuthorizationRequest": "test_anothers_code_and_request_uri_are_ones_that_dont_exist",
    "getToken": "test_anothers_code_and_request_uri_are_ones_that_dont_exist",
}

BODIES: Final[dict[str, dict[str, Any]]] = {
    # where the document's example shows members that exclude each other
    "answerDispute": {"outcome": "upheld", "answer": "核对无误。"},
    "redeliverEvents": {},
    "previewMyself": {},
    "askForConsent": {"scenario": SCENARIO, "subject": {"identifier": PERSON.value}},
}
A_MEMBER: Final = {"askForConsent"}
"""Whose thing is said in a member of the caller's own request, which is then told as a wrong one: 422, and its name."""
WRITTEN_ALONE: Final = {"getConsentCopy"}
"""Only written consents have one, and these tenants' isn't: ``tests/api/test_consent_asks.py`` has another's copy."""

OPERATIONS: Final = {operation.id: operation for operation in operations()}


@pytest.fixture(scope="module")
async def tenants(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> AsyncGenerator[tuple[Tenant, Tenant]]:
    """Ours, and the other."""
    folder: Path = tmp_path_factory.mktemp("tenants")
    async with running_platform(folder, pair) as platform:
        yield await new_tenant(platform, "person-a"), await new_tenant(platform, "person-b")


def never(real: str) -> str:
    """An id of the same form that nobody ever had."""
    prefix, _, _ = real.partition("_")
    return f"{prefix}_{'0' * (len(real) - len(prefix) - 1)}"


def seen(response: httpx.Response, *ids: str) -> tuple[int, dict[str, str], bytes]:
    """All of an answer, but for the ids that were asked about."""
    content = response.content
    for each in ids:
        content = content.replace(each.encode(), b"{id}")
    return response.status_code, dict(response.headers), content


async def ask(tenant: Tenant, operation: Operation, id_: str, at: str, token: str | None = None) -> httpx.Response:
    """Calls ``operation`` with ``id_`` where ``at`` says, and everything else as the document's example has it."""
    values = {"scenario_id": SCENARIO, "scenario": SCENARIO, "record_type": "SOCINS_PAID", at: id_}
    path = operation.path
    for name in operation.in_path:
        path = path.replace(f"{{{name}}}", values[name])
    more: dict[str, Any] = {"headers": {INTERACTION: ONE}}
    if operation.bodies:
        more["json"] = dict(BODIES.get(operation.id, operation.bodies["application/json"]))
        if at.startswith("/"):
            more["json"][at[1:]] = id_
    return await tenant.call(operation.caller, operation.method, path, token=token, **more)


def test_every_operation_is_classified():
    classified = [*THINGS, *NAMES_NOTHING, *BY_THEMSELVES]
    assert len(classified) == len(set(classified))
    assert set(OPERATIONS) == set(classified)
    assert all(test in globals() for test in BY_THEMSELVES.values())


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.id)
def test_every_parameter_is_classified(operation: Operation):
    named = {name for name in THINGS.get(operation.id, {}) if not name.startswith("/")}
    parameters = {name for name, _ in operation.parameters}
    assert parameters <= PUBLIC | PLAIN | named | FILTERS.get(operation.id, {}).keys()
    assert named <= set(operation.in_path)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.id)
def test_every_id_in_a_body_is_classified(operation: Operation):
    example = operation.bodies.get("application/json")
    if operation.id not in BY_THEMSELVES and isinstance(example, dict):
        ids = {f"/{name}" for name, value in example.items() if isinstance(value, str) and ID.match(value)}
        assert ids <= THINGS.get(operation.id, {}).keys()


@pytest.mark.parametrize(
    ("operation_id", "at"), [(operation_id, at) for operation_id, named in THINGS.items() for at in named]
)
async def test_anothers_id_is_one_that_doesnt_exist(tenants: tuple[Tenant, Tenant], operation_id: str, at: str):
    ours, other = tenants
    operation, kind = OPERATIONS[operation_id], THINGS[operation_id][at]
    theirs, nobodys = other.things[kind], never(other.things[kind])
    answers = [await ask(ours, operation, each, at) for each in (theirs, nobodys, theirs)]
    assert answers[0].status_code == (422 if operation_id in A_MEMBER else 404), answers[0].text
    assert seen(answers[0], theirs) == seen(answers[1], nobodys) == seen(answers[2], theirs)


@pytest.mark.parametrize(
    "operation_id", [each for each in sorted(THINGS.keys() - WRITTEN_ALONE) if OPERATIONS[each].method == "GET"]
)
async def test_ones_own_id_is_found(tenants: tuple[Tenant, Tenant], operation_id: str):
    """Else the test above would hold of a route that finds nothing."""
    ours, _ = tenants
    operation = OPERATIONS[operation_id]
    ((at, kind),) = THINGS[operation_id].items()
    assert (await ask(ours, operation, ours.things[kind], at)).status_code == 200


@pytest.mark.parametrize("operation_id", ["getConsent", "giveUpConsent", "createCheck", "getCheck", "getCheckReceipt"])
async def test_a_token_that_is_bound_to_one_consent_names_no_other(tenants: tuple[Tenant, Tenant], operation_id: str):
    """Neither another tenant's nor another one of its own partner's."""
    ours, other = tenants
    operation = OPERATIONS[operation_id]
    ((at, kind),) = THINGS[operation_id].items()
    token = ours.bound["access_token"]
    ids = [other.things[kind], never(other.things[kind])]
    if kind == "consent":
        ids.append(ours.things["asked_consent"])
    answers = [seen(await ask(ours, operation, each, at, token), each) for each in ids]
    assert answers[0][0] == 404
    assert all(answer == answers[0] for answer in answers)


async def test_anothers_consent_within_a_batch_is_one_that_doesnt_exist(tenants: tuple[Tenant, Tenant]):
    ours, other = tenants
    ids = [other.things["consent"], never(other.things["consent"])]
    items = [{"scenario": SCENARIO, "consent_id": each, "reference": "CASE-2"} for each in ids]
    batch = await ours.made(
        "checks", "POST", "/v1/check-batches", json={"items": items}, headers={"idempotency-key": "key-3"}
    )
    await finish(ours.platform.service("batches"))
    found = await ours.made("checks", "GET", f"/v1/check-batches/{batch['id']}/items")
    assert [item["problem"]["code"] for item in found] == ["not_found", "not_found"]
    for item in found:
        number = str(item.pop("number"))
        item["consent_id"] = ""
        item["problem"]["instance"] = item["problem"]["instance"].removesuffix(number)
    assert found[0] == found[1]


@pytest.mark.parametrize("operation_id", FILTERS)
async def test_a_list_of_what_goes_with_anothers_thing_is_empty(tenants: tuple[Tenant, Tenant], operation_id: str):
    ours, other = tenants
    operation = OPERATIONS[operation_id]
    ((name, kind),) = FILTERS[operation_id].items()
    ids = [other.things[kind], never(other.things[kind])]
    answers = [
        await ours.call(operation.caller, "GET", f"{operation.path}?{name}={each}", headers={INTERACTION: ONE})
        for each in ids
    ]
    assert answers[0].json()["data"] == []
    assert seen(answers[0], ids[0]) == seen(answers[1], ids[1])


async def test_anothers_event_is_one_that_doesnt_exist(tenants: tuple[Tenant, Tenant]):
    ours, other = tenants
    path = f"/v1/event-subscriptions/{ours.things['subscription']}/redeliveries"
    ids = [other.things["event"], never(other.things["event"])]
    answers = [
        await ours.call("partner", "POST", path, json={"events": [each]}, headers={INTERACTION: ONE}) for each in ids
    ]
    assert seen(answers[0], ids[0]) == seen(answers[1], ids[1])


async def test_anothers_token_is_one_that_isnt_active(tenants: tuple[Tenant, Tenant]):
    ours, other = tenants
    theirs = [other.bound["access_token"], other.bound["refresh_token"], await other.token("partner")]
    made_up = ["no-token", "0" * len(other.bound["refresh_token"])]
    for path in ("/oauth2/introspect", "/oauth2/revoke"):
        answers = [await ours.partner.post(path, {"token": token}) for token in (*theirs, *made_up)]
        assert all(answer.status_code == 200 for answer in answers)
        assert len({answer.content for answer in answers}) == 1
    mine = (await ours.partner.post("/oauth2/introspect", {"token": ours.bound["access_token"]})).json()
    assert mine["active"] is True
    still = (await other.partner.post("/oauth2/introspect", {"token": theirs[0]})).json()
    assert still["active"] is True, "what isn't one's own isn't revoked"


async def test_anothers_code_and_request_uri_are_ones_that_dont_exist(tenants: tuple[Tenant, Tenant]):
    ours, other = tenants
    pushed = (await other.partner.par(SCENARIO)).json()["request_uri"]
    made_up = pushed[:-4] + "AAAA"
    pages = [
        await ours.browser.http.get(
            "/oauth2/authorize",
            params={"client_id": ours.partner.id, "request_uri": each},
            headers={INTERACTION: ONE},
        )
        for each in (pushed, made_up)
    ]
    assert pages[0].status_code == 400
    assert seen(pages[0], pushed[-43:]) == seen(pages[1], made_up[-43:])
    code = await other.platform.subject().agree(other.partner, pushed, other.persona)
    answers = [await ours.partner.redeem(each) for each in (code, code[:-4] + "AAAA")]
    refreshed = [
        await ours.partner.post("/oauth2/token", {"grant_type": "refresh_token", "refresh_token": each})
        for each in (other.bound["refresh_token"], "A" * 43)
    ]
    for first, second in (answers, refreshed):
        assert first.json()["error"] == "invalid_grant"
        assert without_numbers(first) == without_numbers(second)


async def test_a_list_shows_ones_own_alone_also_from_anothers_cursor(tenants: tuple[Tenant, Tenant]):
    ours, other = tenants
    lists = [each for each in OPERATIONS.values() if each.method == "GET" and ("cursor", "query") in each.parameters]
    assert lists
    for operation in lists:
        path = operation.path
        for at, kind in THINGS.get(operation.id, {}).items():
            path = path.replace(f"{{{at}}}", ours.things[kind])
        there = path
        for at, kind in THINGS.get(operation.id, {}).items():
            there = operation.path.replace(f"{{{at}}}", other.things[kind])
        page = (await other.call(operation.caller, "GET", f"{there}?limit=1")).json()
        cursor = (page.get("links") or {}).get("next", "").partition("cursor=")[2].partition("&")[0]
        for query in ("", *([f"?cursor={cursor}"] if cursor else [])):
            answer = await ours.call(operation.caller, "GET", path + query)
            assert not [each for each in other.things.values() if each in answer.text], (operation.id, query)

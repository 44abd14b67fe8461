"""``/v1/event-subscriptions`` and ``/v1/events``, over HTTP with real tokens, proofs and consents."""

from base64 import b64decode
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.oauth import PartnerProgram, Platform, running_platform
from tests.support.pairs import Pair
from tests.support.receivers import Receiver, receiving
from xinyi_sdk import webhooks

BIKE = "bike-deposit"
PATH = "/v1/event-subscriptions"


@pytest.fixture(scope="module")
async def receiver() -> AsyncGenerator[Receiver]:
    receiver = Receiver()
    async with receiving(receiver):
        yield receiver


@pytest.fixture(scope="module")
async def platform(
    tmp_path_factory: pytest.TempPathFactory, pair: Pair, receiver: Receiver
) -> AsyncGenerator[Platform]:
    """A platform that sends events when the test says so."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    async with running_platform(folder, pair, outbound_loopback=receiver.origin, event_timeout=10) as platform:
        await platform.service("event_worker").stop()
        yield platform


class Caller:
    """A partner's program with a token."""

    def __init__(self, platform: Platform, program: PartnerProgram, token: str, receiver: Receiver) -> None:
        self.platform = platform
        self.program = program
        self.token = token
        self.receiver = receiver

    async def call(self, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
        token = token or self.token
        proof = self.program.proof(method, path.partition("?")[0], token=token)
        return await self.program.call(method, path, token, proof=proof, **more)

    async def subscribe(self, **more: Any) -> dict[str, Any]:
        response = await self.call("POST", PATH, json={"url": self.receiver.url, **more})
        assert response.status_code == 201, response.text
        assert response.headers["location"] == f"{PATH}/{response.json()['data']['id']}"
        return dict(response.json()["data"])

    async def consent(self) -> str:
        """A consent of person A."""
        request_uri = (await self.program.par(BIKE)).json()["request_uri"]
        code = await self.platform.subject().agree(self.program, request_uri, "person-a")
        bound = (await self.program.redeem(code)).json()
        return str(bound["authorization_details"][0]["consent_id"])

    async def tell(self) -> None:
        await self.platform.service("event_worker").drain()


@pytest.fixture
async def caller(platform: Platform, receiver: Receiver) -> Caller:
    receiver.arrived.clear()
    receiver.taken.clear()
    receiver.status = lambda: 204
    program = await platform.partner(BIKE)
    return Caller(platform, program, await program.token(), receiver)


async def test_what_happens_is_sent_and_the_sdk_verifies_it(caller: Caller) -> None:
    made = await caller.subscribe(description="main")
    consent_id = await caller.consent()
    assert (await caller.call("DELETE", f"/v1/consents/{consent_id}")).status_code == 200
    await caller.tell()

    now = caller.platform.clock.now().timestamp()
    events = [webhooks.verify(each.body, each.headers, made["secret"], now=now) for each in caller.receiver.taken]
    assert sorted(event.type for event in events) == ["consent.authorised", "consent.withdrawn"]
    shown = (await caller.call("GET", f"{PATH}/{made['id']}")).json()["data"]
    assert shown == {
        "id": made["id"],
        "url": caller.receiver.url,
        "types": None,
        "description": "main",
        "status": "enabled",
        "disabled_reason": None,
        "created_at": shown["created_at"],
        "failing_since": None,
        "previous_secret_until": None,
        "pending": 0,
        "dead": 0,
    }
    assert (await caller.call("GET", PATH)).json()["data"] == [shown]


async def test_whoever_asks_gets_them_in_order_each_once(caller: Caller) -> None:
    first = await caller.consent()
    await caller.call("DELETE", f"/v1/consents/{first}")
    await caller.tell()
    page = (await caller.call("GET", "/v1/events?limit=1")).json()
    assert [each["type"] for each in page["data"]] == ["consent.authorised"]
    assert set(page["data"][0]) == {"id", "type", "timestamp", "data"}
    cursor = page["meta"]["next_cursor"]
    page = (await caller.call("GET", f"/v1/events?cursor={cursor}")).json()
    assert [(each["type"], each["data"]["consent_id"]) for each in page["data"]] == [("consent.withdrawn", first)]
    cursor = page["meta"]["next_cursor"]
    assert (await caller.call("GET", f"/v1/events?cursor={cursor}")).json()["data"] == []
    some = (await caller.call("GET", "/v1/events?type=consent.withdrawn&type=consent.paused")).json()["data"]
    assert [each["type"] for each in some] == ["consent.withdrawn"]
    for wrong in ("cursor=x", "limit=0", "type=record.disputed"):
        assert (await caller.call("GET", f"/v1/events?{wrong}")).status_code in {400, 422}, wrong


async def test_a_subscription_is_changed_and_ended(caller: Caller) -> None:
    made = await caller.subscribe(types=["consent.paused"])
    path = f"{PATH}/{made['id']}"
    changed = (await caller.call("PATCH", path, json={"types": None, "description": "all"})).json()["data"]
    assert (changed["types"], changed["description"], changed["url"]) == (None, "all", caller.receiver.url)
    off = (await caller.call("PATCH", path, json={"status": "disabled"})).json()["data"]
    assert (off["status"], off["disabled_reason"], off["types"]) == ("disabled", "by_partner", None)
    assert (await caller.call("POST", f"{path}/redeliveries", json={})).json()["code"] == "wrong_state"
    on = (await caller.call("PATCH", path, json={"status": "enabled"})).json()["data"]
    assert (on["status"], on["disabled_reason"]) == ("enabled", None)
    assert (await caller.call("DELETE", path)).status_code == 204
    assert (await caller.call("GET", path)).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://partner.example/events"},
        {"url": "https://169.254.169.254/latest"},
        {"url": "https://[::1]/"},
        {"url": "ftp://partner.example/"},
        {"url": ""},
        {"url": "https://partner.example/", "types": []},
        {"url": "https://partner.example/", "types": ["record.disputed"]},
        {"url": "https://partner.example/", "secret": "mine"},
        {},
    ],
)
async def test_what_cannot_be_subscribed_is_refused(caller: Caller, body: dict[str, Any]) -> None:
    assert (await caller.call("POST", PATH, json=body)).status_code == 422
    assert (await caller.call("GET", PATH)).json()["data"] == []


async def test_a_secret_is_rolled_with_an_overlap(caller: Caller) -> None:
    made = await caller.subscribe()
    rolled = (await caller.call("POST", f"{PATH}/{made['id']}/secret-rolls", json={"overlap_hours": 1})).json()["data"]
    assert rolled["secret"] != made["secret"]
    assert len(b64decode(rolled["secret"].removeprefix("whsec_"))) == 32
    assert rolled["previous_secret_until"] == "2026-11-02T09:00:00Z"
    tested = (await caller.call("POST", f"{PATH}/{made['id']}/test")).json()["data"]
    assert (tested["arrived"], tested["status"], tested["failure"]) == (True, 204, None)
    [message] = caller.receiver.taken
    now = caller.platform.clock.now().timestamp()
    for secret in (made["secret"], rolled["secret"]):
        assert webhooks.verify(message.body, message.headers, secret, now=now).id == tested["event"]["id"]
    too_long = await caller.call("POST", f"{PATH}/{made['id']}/secret-rolls", json={"overlap_hours": 169})
    assert too_long.status_code == 422


async def test_what_did_not_arrive_is_listed_and_sent_again(caller: Caller) -> None:
    made = await caller.subscribe(types=["consent.authorised"])
    caller.receiver.status = lambda: 500
    for _ in range(3):
        await caller.consent()
    await caller.tell()
    path = f"{PATH}/{made['id']}/deliveries?state=pending&limit=2"
    page = (await caller.call("GET", path)).json()
    assert [(each["state"], each["attempts"], each["status"], each["failure"]) for each in page["data"]] == [
        ("pending", 1, 500, "status")
    ] * 2
    assert page["data"][0]["next_attempt_at"] in {"2026-11-02T08:00:05Z", "2026-11-02T08:00:06Z"}
    last = (await caller.call("GET", page["links"]["next"])).json()
    assert (len(last["data"]), last["meta"]["next_cursor"]) == (1, None)

    caller.receiver.status = lambda: 200
    wanted = [page["data"][0]["event_id"]]
    again = await caller.call("POST", f"{PATH}/{made['id']}/redeliveries", json={"events": wanted})
    assert (again.status_code, again.json()["data"]) == (202, {"events": 1})
    await caller.tell()
    assert wanted[0] in [message.event["id"] for message in caller.receiver.taken]
    both = {"events": wanted, "since": "2026-11-02T00:00:00Z"}
    assert (await caller.call("POST", f"{PATH}/{made['id']}/redeliveries", json=both)).status_code == 422


async def test_nobody_touches_the_subscriptions_of_others(caller: Caller, platform: Platform) -> None:
    made = await caller.subscribe()
    stranger = await platform.partner(BIKE)
    other = Caller(platform, stranger, await stranger.token(), caller.receiver)
    await caller.consent()
    await caller.tell()
    assert (await other.call("GET", PATH)).json()["data"] == []
    assert (await other.call("GET", "/v1/events")).json()["data"] == []
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"status": "disabled"}),
        ("DELETE", "", None),
        ("POST", "/test", None),
        ("POST", "/secret-rolls", {}),
        ("GET", "/deliveries", None),
        ("POST", "/redeliveries", {}),
    ):
        more: dict[str, Any] = {} if body is None else {"json": body}
        theirs = await other.call(method, f"{PATH}/{made['id']}{rest}", **more)
        nobodys = await other.call(method, f"{PATH}/evs_{'0' * 26}{rest}", **more)
        assert theirs.status_code == nobodys.status_code == 404, (method, rest)
        assert theirs.json() | {"instance": ""} == nobodys.json() | {"instance": ""}
    assert (await caller.call("GET", f"{PATH}/{made['id']}")).json()["data"]["status"] == "enabled"


async def test_each_scope_has_its_own(caller: Caller) -> None:
    for scope, path, status in (
        ("checks", "/v1/events", 403),
        ("checks", PATH, 403),
        ("consents", "/v1/events", 200),
        ("consents", PATH, 403),
        ("partner", "/v1/events", 403),
        ("partner", PATH, 200),
    ):
        token = (await caller.program.credentials(scope=scope)).json()["access_token"]
        assert (await caller.call("GET", path, token)).status_code == status, (scope, path)

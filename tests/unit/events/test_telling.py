"""Webhooks: at least once, with patience, and nobody waits for somebody else's receiver."""

import asyncio
import hmac
from base64 import b64encode
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.events import PARTNER, SCHEDULE, Told, rows, telling
from tests.support.pairs import Pair
from tests.support.receivers import DROP, HANG, Message
from xinyi.events.deliveries import LANE
from xinyi.events.model import DeliveryState, DisabledReason, EventType, Failure, Status
from xinyi.events.relay import Relay
from xinyi.kernel.errors import Code, XinyiError
from xinyi.storage.outbox import NewEvent, put
from xinyi.web.outbound import Outbound


def signatures(message: Message) -> list[str]:
    return message.headers["webhook-signature"].split(" ")


def signature(message: Message, key: bytes) -> str:
    content = f"{message.headers['webhook-id']}.{message.headers['webhook-timestamp']}.".encode() + message.body
    return "v1," + b64encode(hmac.digest(key, content, "sha256")).decode()


async def test_what_is_committed_arrives_signed(told: Told):
    subscription = await told.subscribe()
    await told.happens("consent.withdrawn", consent_id="cns_1")
    await told.tell()

    [message] = told.receiver.taken
    assert message.event["type"] == "consent.withdrawn"
    assert message.event["data"] == {"consent_id": "cns_1"}
    assert message.event["timestamp"] == "2026-11-02T08:00:00Z"
    assert message.headers["webhook-id"] == message.event["id"]
    assert message.headers["webhook-timestamp"] == str(int(told.clock.now().timestamp()))
    assert signatures(message) == [signature(message, told.secrets[subscription])]
    [delivery] = await told.deliveries(subscription)
    assert (delivery.state, delivery.attempts, delivery.status) == (DeliveryState.DELIVERED, 1, 204)


async def test_what_is_rolled_back_is_never_told(told: Told):
    await told.subscribe()
    with suppress(RuntimeError):
        async with told.world.services.database.transaction() as tx:
            await put(tx, [NewEvent("consent.withdrawn", PARTNER, {})], told.clock.now())
            raise RuntimeError
    await told.tell()
    assert told.receiver.arrived == []


async def test_a_partner_is_told_of_its_own_and_of_what_it_asked_for(told: Told):
    await told.subscribe(told.receiver, EventType.CONSENT_WITHDRAWN)
    await told.subscribe(told.other, partner="prt_b")
    await told.happens("consent.withdrawn", "consent.paused")
    await told.happens("consent.resumed", partner="prt_b")
    await told.tell()
    assert [message.event["type"] for message in told.receiver.taken] == ["consent.withdrawn"]
    assert [message.event["type"] for message in told.other.taken] == ["consent.resumed"]


async def test_events_of_a_burst_all_arrive(told: Told):
    await told.subscribe()
    await told.subscribe(told.other)
    await told.happens(*["consent.authorised"] * 40)
    await told.tell()
    assert len({message.event["id"] for message in told.receiver.taken}) == 40
    assert len(told.receiver.taken) == len(told.other.taken) == 40


@pytest.mark.parametrize(
    ("status", "failure"), [(500, Failure.STATUS), (302, Failure.STATUS), (DROP, Failure.UNREACHABLE)]
)
async def test_what_fails_is_tried_again_with_growing_pauses(told: Told, status: int, failure: Failure):
    told.receiver.status = lambda: status
    subscription = await told.subscribe()
    await told.happens()
    await told.tell()
    for tries, pause in enumerate(SCHEDULE, 1):
        assert len(told.receiver.arrived) == tries
        [delivery] = await told.deliveries(subscription, DeliveryState.PENDING)
        assert (delivery.failure, delivery.status) == (failure, None if status < 0 else status)
        await told.pass_time(seconds=pause * 0.9)
        assert len(told.receiver.arrived) == tries
        await told.pass_time(seconds=pause * 0.3)

    [dead] = await told.deliveries(subscription, DeliveryState.DEAD)
    assert dead.attempts == len(SCHEDULE) + 1
    await told.pass_time(days=1)
    assert len(told.receiver.arrived) == dead.attempts
    assert len({message.body for message in told.receiver.arrived}) == 1, "it is the same message each time"


async def test_what_was_given_up_is_sent_again_by_hand(told: Told):
    told.receiver.status = lambda: 500
    subscription = await told.subscribe()
    await told.happens("consent.paused", "consent.resumed")
    for _ in range(10):
        await told.pass_time(hours=1)
    assert (await told.standing(subscription)).dead == 2

    told.receiver.status = lambda: 200
    assert await told.events.again(PARTNER, subscription) == 2
    await told.pass_time(minutes=5)
    assert sorted(message.event["type"] for message in told.receiver.taken) == ["consent.paused", "consent.resumed"]
    standing = await told.standing(subscription)
    assert (standing.pending, standing.dead, standing.subscription.failures) == (0, 0, 0)


async def test_events_are_sent_again_by_name_or_from_a_moment_on(told: Told):
    await told.happens("consent.paused")
    await told.pass_time(hours=1)
    subscription = await told.subscribe()
    await told.happens("consent.resumed")
    await told.tell()
    first, second = [each.event.id for each in (await told.events.after(PARTNER, None, [], 10))[0]]

    assert await told.events.again(PARTNER, subscription, events=[first, "evt_of_nobody"]) == 1
    await told.tell()
    assert await told.events.again(PARTNER, subscription, since=told.clock.now()) == 1
    await told.tell()
    assert [message.event["id"] for message in told.receiver.taken] == [second, first, second]


async def test_what_was_not_subscribed_to_is_not_sent_again_either(told: Told):
    subscription = await told.subscribe(None, EventType.CONSENT_RESUMED)
    await told.happens("consent.paused", "consent.resumed")
    await told.tell()
    assert await told.events.again(PARTNER, subscription, since=told.clock.now()) == 1
    await told.tell()
    assert [message.event["type"] for message in told.receiver.taken] == ["consent.resumed"] * 2


async def test_a_receiver_that_hangs_holds_up_nobody_else(hasty: Told):
    told = hasty
    told.receiver.status = lambda: HANG
    slow = await told.subscribe()
    await told.subscribe(told.other)
    await told.happens(*["consent.authorised"] * 20)
    await told.tell()
    assert len(told.other.taken) == 20
    assert len(told.receiver.arrived) < 20, "it is left in peace"
    assert (await told.standing(slow)).pending == 20


async def test_a_receiver_that_fails_is_asked_one_at_a_time(told: Told):
    subscription = await told.subscribe()
    await told.happens(*["consent.authorised"] * 20)
    await Relay(told.world.services.database, told.clock).run()
    assert len(await told.deliveries_of_another_worker().claim([])) == LANE
    told.receiver.status = lambda: 500
    await told.pass_time(seconds=2)  # the rest is tried, until the receiver is left in peace
    told.clock.advance(timedelta(minutes=5))
    assert (await told.standing(subscription)).subscription.failures > 1
    assert len(await told.deliveries_of_another_worker().claim([])) == 1


async def test_a_receiver_that_works_again_gets_all(told: Told):
    told.receiver.status = lambda: 503
    subscription = await told.subscribe()
    await told.happens(*["consent.authorised"] * 30)
    await told.tell()
    told.receiver.status = lambda: 204
    for _ in range(3):
        await told.pass_time(minutes=10)
    assert len({message.event["id"] for message in told.receiver.taken}) == 30
    assert (await told.standing(subscription)).subscription.failing_since is None


async def test_whoever_dies_with_a_message_leaves_it_to_others(told: Told):
    await told.subscribe()
    await told.happens()
    await Relay(told.world.services.database, told.clock).run()
    assert len(await told.deliveries_of_another_worker().claim([])) == 1
    await told.tell()
    assert told.receiver.arrived == [], "the other one may still be at it"
    await told.pass_time(seconds=1.4)
    assert len(told.receiver.taken) == 1


async def test_a_receiver_that_is_gone_is_asked_no_more(told: Told):
    told.receiver.status = lambda: 410
    gone = await told.subscribe()
    await told.subscribe(told.other)
    await told.happens("consent.paused")
    await told.tell()
    standing = await told.standing(gone)
    assert (standing.subscription.status, standing.subscription.disabled_reason) == (
        Status.DISABLED,
        DisabledReason.GONE,
    )
    await told.happens("consent.resumed")
    await told.pass_time(days=1)
    assert len(told.receiver.arrived) == 1
    said = [message.event for message in told.other.taken if message.event["type"] == "event_subscription.disabled"]
    assert [event["data"] for event in said] == [{"subscription_id": gone, "reason": "gone"}]


async def test_a_receiver_that_fails_for_days_is_switched_off_and_begins_afresh_when_asked(told: Told):
    told.receiver.status = lambda: 500
    subscription = await told.subscribe()
    for _ in range(7):
        await told.happens()
        await told.pass_time(days=1)
    standing = await told.standing(subscription)
    assert standing.subscription.disabled_reason is DisabledReason.FAILING
    assert standing.pending == 0
    with pytest.raises(XinyiError, check=lambda error: error.code is Code.WRONG_STATE):
        await told.events.again(PARTNER, subscription)

    told.receiver.status = lambda: 204
    await told.events.change(PARTNER, subscription, status=Status.ENABLED)
    await told.happens("consent.withdrawn")
    await told.tell()
    assert [message.event["type"] for message in told.receiver.taken] == ["consent.withdrawn"]


async def test_both_secrets_sign_while_one_is_rolled(told: Told):
    subscription = await told.subscribe()
    old = told.secrets[subscription]
    _, shown = await told.events.roll(PARTNER, subscription, timedelta(hours=24))
    await told.happens()
    await told.pass_time(hours=23)
    await told.happens()
    await told.pass_time(hours=1)
    first, last = told.receiver.taken
    assert (len(signatures(first)), signatures(first)[1]) == (2, signature(first, old))
    assert len(signatures(last)) == 1
    assert signatures(last)[0] != signature(last, old)
    assert shown not in str(await rows(told.world))


async def test_a_secret_is_stored_sealed_for_its_subscription(told: Told):
    subscription = await told.subscribe()
    secret = told.secrets[subscription]
    stored = (await told.standing(subscription)).subscription.secret
    assert secret not in stored
    assert secret not in str(await rows(told.world)).encode()


async def test_a_test_says_at_once_what_came_of_it(told: Told):
    subscription = await told.subscribe()
    event, attempt = await told.events.test(PARTNER, subscription)
    assert (attempt.arrived, attempt.status) == (True, 204)
    assert [message.event["id"] for message in told.receiver.taken] == [event.id]
    told.receiver.status = lambda: DROP
    _, attempt = await told.events.test(PARTNER, subscription)
    assert (attempt.arrived, attempt.failure) == (False, Failure.UNREACHABLE)
    assert (await told.events.after(PARTNER, None, [], 10))[0] == []


@pytest.mark.parametrize("url", ["http://partner.example/", "https://10.0.0.1/", "https://u@a.example/"])
async def test_a_url_that_leads_inside_is_refused(told: Told, url: str):
    with pytest.raises(XinyiError, check=lambda error: (error.code, error.source) == (Code.INVALID, "/url")):
        await told.events.subscribe(PARTNER, url=url, types=None, description="")


@pytest.mark.parametrize("addresses", [["10.0.0.7"], []], ids=["inside", "nowhere"])
async def test_the_partner_never_learns_whether_a_name_leads_inside_or_nowhere(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
):
    async def resolve(_host: str, _port: int) -> list[str]:
        return addresses

    async with telling(tmp_path, pair, event_timeout=0.2) as told:
        monkeypatch.setattr(told.world.services.outbound, "_resolve", resolve)
        subscription = await told.subscribe()
        await told.events.change(PARTNER, subscription, url="https://db.bank.example/events")
        begun = asyncio.get_running_loop().time()
        with capture_logs() as logs:
            _, attempt = await told.events.test(PARTNER, subscription)
            assert asyncio.get_running_loop().time() - begun >= 0.2
            await told.happens()
            await told.tell()
        assert (attempt.arrived, attempt.status, attempt.failure) == (False, None, Failure.UNREACHABLE)
        [delivery] = await told.deliveries(subscription)
        assert delivery.failure is Failure.UNREACHABLE
    refused = [line["subscription"] for line in logs if line["event"] == "event_address_refused"]
    assert refused == ([subscription] * 2 if addresses else []), "the operator does"


async def test_what_nobody_foresaw_is_a_failed_try_as_well(told: Told, monkeypatch: pytest.MonkeyPatch):
    async def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError

    subscription = await told.subscribe()
    monkeypatch.setattr(Outbound, "post", broken)
    await told.happens()
    await told.tell()
    [delivery] = await told.deliveries(subscription, DeliveryState.PENDING)
    assert (delivery.attempts, delivery.failure) == (1, Failure.UNREACHABLE)


async def test_a_partner_has_ten_subscriptions_at_most(told: Told):
    for _ in range(10):
        await told.subscribe()
    with pytest.raises(XinyiError, check=lambda error: error.code is Code.WRONG_STATE):
        await told.subscribe()


async def test_a_subscription_that_ends_takes_its_deliveries_along(told: Told):
    told.receiver.status = lambda: 500
    subscription = await told.subscribe()
    await told.happens()
    await told.tell()
    await told.events.unsubscribe(PARTNER, subscription)
    await told.pass_time(hours=1)
    assert len(told.receiver.arrived) == 1
    with pytest.raises(XinyiError, check=lambda error: error.code is Code.NOT_FOUND):
        await told.standing(subscription)

"""Deliveries are verified as Standard Webhooks says."""

import hmac
import json
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any

import pytest

from tests.sdk.platform import NOW
from xinyi_sdk import WebhookInvalid, webhooks

SECRET = "whsec_" + b64encode(b"twenty-four random bytes").decode()
OLD = "whsec_" + b64encode(b"the secret before that one").decode()
BODY = json.dumps(
    {
        "type": "consent.withdrawn",
        "timestamp": "2026-11-02T08:00:00Z",
        "data": {"consent_id": "cns_1", "later": 1},
        "later": "a member that this version doesn't know",
    }
).encode()
AT = NOW.timestamp()


def headers(body: bytes = BODY, secret: str = SECRET, at: float = AT, **changes: str) -> dict[str, str]:
    """Signed independently of the SDK, from the specification's text."""
    stamp = str(int(at))
    signed = b".".join([b"evt_1", stamp.encode(), body])
    signature = b64encode(hmac.new(b64decode(secret.removeprefix("whsec_")), signed, sha256).digest()).decode()
    sent = {"webhook-id": "evt_1", "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
    return {**sent, **{name.replace("_", "-"): value for name, value in changes.items()}}


def test_a_delivery_of_the_platform_is_an_event() -> None:
    event = webhooks.verify(BODY, headers(), SECRET, now=AT)
    assert (event.id, event.type, event.timestamp) == ("evt_1", "consent.withdrawn", NOW)
    assert event.data["consent_id"] == "cns_1"


def test_the_specifications_own_vector_verifies() -> None:
    """From https://www.standardwebhooks.com, as its reference libraries test it."""
    body = b'{"test": 2432232314}'
    sent = {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    with pytest.raises(WebhookInvalid) as caught:  # the signature holds; that body is no event of ours
        webhooks.verify(body, sent, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now=1614265330)
    assert caught.value.reason == "body"


@pytest.mark.parametrize("secrets", [[OLD, SECRET], [SECRET, OLD]])
def test_several_secrets_and_several_signatures_bridge_a_rotation(secrets: list[str]) -> None:
    assert webhooks.verify(BODY, headers(), secrets, now=AT).id == "evt_1"
    both = f"v1,AAAA {headers()['webhook-signature']} v2,whatever"
    assert webhooks.verify(BODY, headers(webhook_signature=both), SECRET, now=AT).id == "evt_1"


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_may_pass(seconds: int) -> None:
    assert webhooks.verify(BODY, headers(), SECRET, now=AT + seconds)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"now": AT + 301}, "timestamp"),
        ({"now": AT - 301}, "timestamp"),
        ({"headers": headers(webhook_timestamp="soon")}, "timestamp"),
        ({"headers": headers(webhook_timestamp="٣")}, "timestamp"),
        ({"headers": headers(webhook_timestamp=str(int(AT) + 1))}, "signature"),
        ({"headers": headers(webhook_id="evt_2")}, "signature"),
        ({"headers": {}}, "headers"),
        ({"headers": headers(webhook_signature="")}, "headers"),
        ({"headers": headers(webhook_signature=headers()["webhook-signature"][3:])}, "signature"),
        ({"headers": headers(webhook_signature=headers()["webhook-signature"].replace("v1", "v1a"))}, "signature"),
        ({"body": BODY + b" "}, "signature"),
        ({"secrets": OLD}, "signature"),
        ({"secrets": []}, "signature"),
        ({"secrets": "whsec_!"}, "signature"),
        ({"body": b"[]", "headers": headers(b"[]")}, "body"),
        ({"body": b"\xff", "headers": headers(b"\xff")}, "body"),
    ],
)
def test_anything_else_is_refused(arguments: dict[str, Any], reason: str) -> None:
    given: dict[str, Any] = {"body": BODY, "headers": headers(), "secrets": SECRET, "now": AT, **arguments}
    with pytest.raises(WebhookInvalid) as caught:
        webhooks.verify(given["body"], given["headers"], given["secrets"], now=given["now"])
    assert caught.value.reason == reason

"""Deliveries of events, verified as Standard Webhooks says (https://www.standardwebhooks.com).

Verify the body as it came, byte for byte, before anything reads it. The same event may come twice: its ``id`` tells.
"""

import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct

from .errors import WebhookInvalid
from .models.events import Event

__all__ = ["TOLERANCE", "verify"]

TOLERANCE: Final = 300
"""Seconds by which a delivery's timestamp may differ from this machine's clock."""
PREFIX: Final = "whsec_"


class _Body(Struct, frozen=True, kw_only=True):
    type: str
    timestamp: datetime
    data: dict[str, Any]


def verify(body: bytes, headers: Mapping[str, str], secrets: str | Sequence[str], *, now: float | None = None) -> Event:
    """The event in a delivery. Raises ``WebhookInvalid``: answer 400 then, and do nothing.

    ``headers`` are those of the request, in any case of their names. ``secrets`` is the subscription's ``whsec_…``, or
    several while it is rotated. ``now`` is the time in epoch seconds, for tests.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    message, stamp, signatures = (sent.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not message or not stamp or not signatures:
        raise WebhookInvalid("headers", "webhook-id, webhook-timestamp and webhook-signature are needed")
    if not (stamp.isascii() and stamp.isdigit()):
        raise WebhookInvalid("timestamp", "webhook-timestamp isn't a number of seconds")
    if abs(int(stamp) - (time.time() if now is None else now)) > TOLERANCE:
        raise WebhookInvalid("timestamp", "it is more than five minutes off: old, or a clock is wrong")
    signed = f"{message}.{stamp}.".encode() + body
    given = [each.removeprefix("v1,").encode() for each in signatures.split() if each.startswith("v1,")]
    wanted = [_signature(secret, signed) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    # every pair is compared, so that time tells nothing about which secret or signature is the right one
    if not sum([hmac.compare_digest(one, other) for one in wanted for other in given]):
        raise WebhookInvalid("signature", "no signature is by one of the secrets")
    try:
        read = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise WebhookInvalid("body", "it is signed, but isn't an event that this version can read") from None
    return Event(id=message, type=read.type, timestamp=read.timestamp, data=read.data)


def _signature(secret: str, signed: bytes) -> bytes:
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise WebhookInvalid("signature", "a secret isn't base64: it begins with whsec_") from None
    return b64encode(hmac.new(key, signed, sha256).digest())

"""What happened, and the subscriptions that are told of it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct


class EventType(StrEnum):
    """What partners are told of. None of it depends on a record."""

    CONSENT_AUTHORISED = "consent.authorised"
    CONSENT_REJECTED = "consent.rejected"
    CONSENT_PAUSED = "consent.paused"
    CONSENT_RESUMED = "consent.resumed"
    CONSENT_EXTENSION_REQUESTED = "consent.extension_requested"
    CONSENT_EXTENDED = "consent.extended"
    CONSENT_EXTENSION_REJECTED = "consent.extension_rejected"
    CONSENT_REMINDED = "consent.reminded"
    CONSENT_EXPIRING = "consent.expiring"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_CONSUMED = "consent.consumed"
    CLIENT_KEYS_CHANGED = "client.keys_changed"
    SUBSCRIPTION_DISABLED = "event_subscription.disabled"
    SUBSCRIPTION_TEST = "event_subscription.test"


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened, with what the partner may see of it anyway.

    The same event may come twice, by a webhook and by polling: its ``id`` tells.
    """

    id: str
    type: str
    timestamp: datetime
    data: Mapping[str, Any]


class EventPage(Struct, frozen=True, kw_only=True):
    """Events in their order, and the cursor to keep: no event ever appears behind it."""

    events: tuple[Event, ...]
    cursor: str


class EventSubscription(Struct, frozen=True, kw_only=True):
    """Where which events are sent, and how that goes. ``types`` of ``None`` are all.

    ``status`` is ``enabled`` or ``disabled``; ``pending`` events wait, ``dead`` ones were given up.
    """

    id: str
    url: str
    types: tuple[str, ...] | None
    description: str
    status: str
    disabled_reason: str | None
    created_at: datetime
    failing_since: datetime | None
    previous_secret_until: datetime | None
    pending: int
    dead: int


class SubscriptionSecret(Struct, frozen=True, kw_only=True):
    """A subscription's new secret, shown this once: keep it where your other secrets are. Never in ``repr``."""

    id: str
    secret: str
    previous_secret_until: datetime | None

    def __repr__(self) -> str:
        return f"SubscriptionSecret(id={self.id!r}, …)"


class DeliveryState(StrEnum):
    """How the telling of one event to one subscription stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Delivery(Struct, frozen=True, kw_only=True):
    """How the telling of one event to one subscription stands. ``failure`` is why the last try didn't arrive."""

    event_id: str
    event_type: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    settled_at: datetime | None
    status: int | None
    failure: str | None


class DeliveryAttempt(Struct, frozen=True, kw_only=True):
    """What came of a test event: whether the receiver took it, and its HTTP status or what went wrong."""

    event: Event
    arrived: bool
    status: int | None
    failure: str | None


class Redelivered(Struct, frozen=True, kw_only=True):
    """How many events are on their way again."""

    events: int

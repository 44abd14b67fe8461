"""What happened, who wants to be told, and how a telling stands. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from ..kernel.text import Text


class EventType(StrEnum):
    """Everything that a partner is told of: a closed list, and none of it depends on a record."""

    CONSENT_AUTHORISED = "consent.authorised"
    CONSENT_REJECTED = "consent.rejected"
    CONSENT_PAUSED = "consent.paused"
    CONSENT_RESUMED = "consent.resumed"
    CONSENT_REMINDED = "consent.reminded"
    CONSENT_EXTENSION_REQUESTED = "consent.extension_requested"
    CONSENT_EXTENDED = "consent.extended"
    CONSENT_EXTENSION_REJECTED = "consent.extension_rejected"
    CONSENT_EXPIRING = "consent.expiring"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_CONSUMED = "consent.consumed"
    CLIENT_KEYS_CHANGED = "client.keys_changed"
    SUBSCRIPTION_DISABLED = "event_subscription.disabled"
    SUBSCRIPTION_TEST = "event_subscription.test"


MEANINGS: Final[dict[EventType, Text]] = {
    EventType.CONSENT_AUTHORISED: Text("信用主体同意了授权", "The subject agreed."),
    EventType.CONSENT_REJECTED: Text("信用主体拒绝了授权", "The subject refused."),
    EventType.CONSENT_PAUSED: Text("信用主体暂停了授权", "The subject paused the consent: checks are refused."),
    EventType.CONSENT_RESUMED: Text("信用主体恢复了授权", "The subject resumed it."),
    EventType.CONSENT_REMINDED: Text("已向信用主体提醒一次", "The subject was reminded of the request."),
    EventType.CONSENT_EXTENSION_REQUESTED: Text("已请求延长授权", "An extension was asked for."),
    EventType.CONSENT_EXTENDED: Text("信用主体同意延长授权", "The subject agreed to the extension."),
    EventType.CONSENT_EXTENSION_REJECTED: Text("信用主体拒绝延长授权", "The subject refused the extension."),
    EventType.CONSENT_EXPIRING: Text("授权即将到期", "The consent ends soon by itself: told once for each term."),
    EventType.CONSENT_EXPIRED: Text(
        "授权已到期，或请求未获答复", "The consent reached its term, or nobody answered the request."
    ),
    EventType.CONSENT_WITHDRAWN: Text("授权已撤回", "The consent was withdrawn, by whom and why it says."),
    EventType.CONSENT_CONSUMED: Text("一次性授权已使用", "The once-only consent was used by a check."),
    EventType.CLIENT_KEYS_CHANGED: Text("接入程序的密钥有变更", "A client was given a key or lost one."),
    EventType.SUBSCRIPTION_DISABLED: Text("事件订阅已停用", "A subscription was switched off, and why it says."),
    EventType.SUBSCRIPTION_TEST: Text("测试事件", "Sent on request; it is stored nowhere."),
}
assert set(MEANINGS) == set(EventType), "each type has its meaning"


class Event(Struct, frozen=True):
    """One thing that happened: what a receiver gets as the body, and what a poll gives.

    ``id`` is the same however often it is sent: whoever has seen it may throw it away.
    """

    id: Annotated[str, Meta(description="The event; a repetition has the same.", examples=["evt_01kb0x4m9v5w8q2r7s"])]
    type: Annotated[
        str,
        Meta(
            description="What happened.",
            examples=["consent.withdrawn"],
            extra_json_schema={"enum": [each.value for each in EventType]},
        ),
    ]
    timestamp: Annotated[datetime, Meta(tz=True, description="When it happened.")]
    data: Annotated[
        dict[str, Any],
        Meta(
            description="What the partner may see of it anyway.",
            examples=[{"consent_id": "cns_01kb0x4m9v5w8q2r7s3t6y1zab", "state": "withdrawn"}],
        ),
    ]

    def body(self) -> bytes:
        """The bytes that are sent: the same at each try."""
        return msgspec.json.encode(self)


class NumberedEvent(Struct, frozen=True):
    """An event in its partner's order: numbers have no gaps, and a smaller one is never seen later."""

    partner_id: str
    number: int
    event: Event


class Status(StrEnum):
    """Whether a subscription is sent anything."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why a subscription is disabled."""

    BY_PARTNER = "by_partner"
    GONE = "gone"
    """The receiver answered 410."""
    FAILING = "failing"
    """Nothing arrived for :data:`PATIENCE`."""


class Subscription(Struct, frozen=True, kw_only=True):
    """Where a partner wants to be told of which events.

    ``types`` is ``None`` for all. ``failures`` in a row since ``failing_since``; until ``held_until`` the receiver is
    left in peace. ``due_at`` is no later than the moment at which its next delivery is due.
    """

    id: str
    partner_id: str
    url: str
    description: str
    types: tuple[EventType, ...] | None
    status: Status
    disabled_reason: DisabledReason | None = None
    created_at: datetime
    secret: bytes
    previous_secret: bytes | None = None
    previous_until: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    held_until: datetime | None = None
    due_at: datetime | None = None

    def wants(self, type_: str) -> bool:
        """Whether it is told of events of this type."""
        return self.types is None or type_ in self.types


class DeliveryState(StrEnum):
    """How the telling of one event to one subscription stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Every try failed, or the subscription was switched off: it is sent again by hand."""


class Failure(StrEnum):
    """Why a try failed."""

    UNREACHABLE = "unreachable"
    """There was no whole answer in time, or the URL leads to no public address. The partner isn't told which: it would
    learn which names are known in the operator's network."""
    STATUS = "status"
    """The answer's status isn't 2xx."""
    SWITCHED_OFF = "switched_off"
    """The subscription was switched off before it arrived."""


class Delivery(Struct, frozen=True, kw_only=True):
    """The telling of one event to one subscription. ``settled_at`` is when it arrived or was given up."""

    number: int
    event_id: str
    event_type: str
    state: DeliveryState
    attempts: int
    due_at: datetime
    settled_at: datetime | None
    status: int | None
    failure: Failure | None


class Attempt(Struct, frozen=True):
    """What one try to send something brought: the receiver's ``status``, or why there is none."""

    failure: Failure | None
    status: int | None = None

    @property
    def arrived(self) -> bool:
        return self.failure is None

    @property
    def gone(self) -> bool:
        """The receiver says that it will never take anything again (410)."""
        return self.status == 410


PATIENCE: Final = timedelta(days=5)
"""A subscription that took nothing for so long is switched off."""
SECRETS_OVERLAP: Final = timedelta(hours=24)
"""After a roll the old secret signs as well for so long, unless the roll says otherwise."""
MAX_SUBSCRIPTIONS: Final = 10
"""The most subscriptions of one partner."""
HOLD_AFTER: Final = 5
"""After so many failures in a row the receiver is left in peace for a while, longer each time."""
LONGEST_HOLD: Final = timedelta(minutes=5)


def retry_at(now: datetime, attempts: int, schedule: Sequence[float], jitter: float) -> datetime | None:
    """When a delivery that has failed ``attempts`` times is tried again; ``None`` when it is given up.

    ``schedule`` has the pauses in seconds; ``jitter``, from 0 to 1, makes each up to a tenth longer.
    """
    if attempts > len(schedule):
        return None
    return now + timedelta(seconds=schedule[attempts - 1] * (1 + jitter / 10))


def held_until(now: datetime, failures: int, pause: float) -> datetime | None:
    """Until when a receiver with so many failures in a row is left in peace. ``pause``: the first one, in seconds."""
    if failures < HOLD_AFTER:
        return None
    return now + min(timedelta(seconds=pause * 2 ** min(failures - HOLD_AFTER, 30)), LONGEST_HOLD)

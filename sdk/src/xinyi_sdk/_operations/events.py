"""What happened, and the subscriptions that are told of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from .._engine import Engine
from .._flow import Flow, Page
from .._problems import read
from ..models.events import (
    Delivery,
    DeliveryAttempt,
    Event,
    EventPage,
    EventSubscription,
    Redelivered,
    SubscriptionSecret,
)
from .common import PAGE, Data, Items, page_of, segment

SUBSCRIPTIONS: Final = "/v1/event-subscriptions"


class _Meta(Struct, frozen=True):
    next_cursor: str


class _Events(Struct, frozen=True):
    data: tuple[Event, ...]
    meta: _Meta


def read_events(engine: Engine, cursor: str | None, types: Sequence[str] | None) -> Flow[EventPage]:
    query: dict[str, str | Sequence[str]] = {"limit": str(PAGE)}
    if cursor is not None:
        query["cursor"] = cursor
    if types is not None:
        query["type"] = list(types)
    body = read((yield from engine.call("GET", "/v1/events", query=query)), _Events)
    return EventPage(events=body.data, cursor=body.meta.next_cursor)


def list_events(engine: Engine, cursor: str | None, types: Sequence[str] | None) -> Flow[Page[Event]]:
    page = yield from read_events(engine, cursor, types)
    return Page(page.events, page.cursor if page.events else None)


def list_subscriptions(engine: Engine) -> Flow[tuple[EventSubscription, ...]]:
    return read((yield from engine.call("GET", SUBSCRIPTIONS)), Data[tuple[EventSubscription, ...]]).data


def create(engine: Engine, url: str, types: Sequence[str] | None, description: str) -> Flow[SubscriptionSecret]:
    body = {"url": url, "types": types, "description": description}
    return read((yield from engine.call("POST", SUBSCRIPTIONS, body=body)), Data[SubscriptionSecret]).data


def get(engine: Engine, subscription_id: str) -> Flow[EventSubscription]:
    response = yield from engine.call("GET", _path(subscription_id))
    return read(response, Data[EventSubscription]).data


def change(engine: Engine, subscription_id: str, changes: Mapping[str, Any]) -> Flow[EventSubscription]:
    body = {name: value for name, value in changes.items() if value is not None}
    response = yield from engine.call("PATCH", _path(subscription_id), body=body)
    return read(response, Data[EventSubscription]).data


def delete(engine: Engine, subscription_id: str) -> Flow[None]:
    yield from engine.call("DELETE", _path(subscription_id))


def roll_secret(engine: Engine, subscription_id: str, overlap_hours: int | None) -> Flow[SubscriptionSecret]:
    body = {} if overlap_hours is None else {"overlap_hours": overlap_hours}
    response = yield from engine.call("POST", _path(subscription_id, "/secret-rolls"), body=body)
    return read(response, Data[SubscriptionSecret]).data


def test(engine: Engine, subscription_id: str) -> Flow[DeliveryAttempt]:
    response = yield from engine.call("POST", _path(subscription_id, "/test"))
    return read(response, Data[DeliveryAttempt]).data


def deliveries(engine: Engine, subscription_id: str, state: str | None, cursor: str | None) -> Flow[Page[Delivery]]:
    return page_of(engine, _path(subscription_id, "/deliveries"), Items[Delivery], cursor, {"state": state})


def redeliver(
    engine: Engine, subscription_id: str, events: Sequence[str] | None, since: datetime | None
) -> Flow[Redelivered]:
    body = {"events": events, "since": since}
    given = {name: value for name, value in body.items() if value is not None}
    response = yield from engine.call("POST", _path(subscription_id, "/redeliveries"), body=given)
    return read(response, Data[Redelivered]).data


def _path(subscription_id: str, rest: str = "") -> str:
    return f"{SUBSCRIPTIONS}/{segment(subscription_id)}{rest}"

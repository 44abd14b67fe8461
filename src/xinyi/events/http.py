"""``/v1/events`` and ``/v1/event-subscriptions``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType

from ..kernel.clock import whole_seconds
from ..kernel.errors import Code
from ..web.envelope import Envelope
from ..web.outbound import MAX_URL
from ..web.principal import Principal, Scope, requires
from ..web.problem import problems
from .model import (
    Attempt,
    Delivery,
    DeliveryState,
    DisabledReason,
    Event,
    EventType,
    Failure,
    Status,
    Subscription,
)
from .service import EventService, Standing
from .worker import EventWorker

EVENTS: Final = "/v1/events"
SUBSCRIPTIONS: Final = "/v1/event-subscriptions"

SubscriptionId = Annotated[str, PathParameter(max_length=64, description="The subscription.")]
Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_URL,
        description="Where events are sent: https, at a public address. Redirects aren't followed.",
        examples=["https://partner.example/xinyi-events"],
    ),
]
Types = Annotated[
    list[EventType],
    Meta(min_length=1, max_length=len(EventType), description="The types that it is told of; null for all."),
]
Description = Annotated[
    str,
    Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f\ud800-\udfff]*$", description="Your own note.", examples=["main"]),
]
Limited = Annotated[int, QueryParameter(ge=1, le=1000, description="The most of a page.")]
_PROBLEMS: Final = (
    Code.UNAUTHENTICATED,
    Code.INVALID_TOKEN,
    Code.INVALID_DPOP_PROOF,
    Code.INSUFFICIENT_SCOPE,
    Code.UNAVAILABLE,
)


class NewSubscription(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to send which events."""

    url: Url
    types: Types | None = None
    description: Description = ""


class SubscriptionChange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change; what is left out stays."""

    url: Url | UnsetType = UNSET
    types: Types | UnsetType | None = UNSET
    description: Description | UnsetType = UNSET
    status: (
        Annotated[Status, Meta(description="Switches it off, or on again: what happens from then on is sent.")]
        | UnsetType
    ) = UNSET


class SubscriptionView(Struct, frozen=True, kw_only=True):
    """A subscription and how it goes."""

    id: Annotated[str, Meta(description="The subscription.", examples=["evs_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    url: Url
    types: Types | None
    description: Description
    status: Annotated[Status, Meta(description="Whether events are sent.")]
    disabled_reason: (
        Annotated[
            DisabledReason,
            Meta(
                description="Why not: `by_partner`; `gone`, the receiver answered 410; or `failing`, it took nothing "
                "for five days."
            ),
        ]
        | None
    )
    created_at: Annotated[datetime, Meta(tz=True, description="When it was made.")]
    failing_since: Annotated[datetime, Meta(tz=True, description="Since when nothing arrives.")] | None
    previous_secret_until: Annotated[datetime, Meta(tz=True, description="Until when the old secret signs too.")] | None
    pending: Annotated[int, Meta(ge=0, description="Events that wait to be sent, or to be tried again.", examples=[0])]
    dead: Annotated[int, Meta(ge=0, description="Events that were given up.", examples=[0])]


class SecretView(Struct, frozen=True, kw_only=True):
    """A subscription's new secret, which is shown this once."""

    id: Annotated[str, Meta(description="The subscription.", examples=["evs_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    secret: Annotated[
        str,
        Meta(
            description="What signs: `whsec_` and base64, as Standard Webhooks has it.",
            examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA="],
        ),
    ]
    previous_secret_until: Annotated[datetime, Meta(tz=True, description="Until when the old secret signs too.")] | None


class SecretRoll(Struct, frozen=True, forbid_unknown_fields=True):
    """How to change the secret."""

    overlap_hours: Annotated[int, Meta(ge=0, le=168, description="How long the old secret signs too.")] = 24


class AttemptView(Struct, frozen=True):
    """What came of a test."""

    event: Event
    arrived: Annotated[bool, Meta(description="Whether the receiver took it: it answered 2xx in time.")]
    status: Annotated[int, Meta(description="The status that it answered.", examples=[204])] | None
    failure: Annotated[Failure, Meta(description="Why it didn't arrive.")] | None


class DeliveryView(Struct, frozen=True, kw_only=True):
    """How the telling of one event to a subscription stands."""

    event_id: Annotated[str, Meta(description="The event.", examples=["evt_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    event_type: Annotated[str, Meta(description="Its type.", examples=["consent.withdrawn"])]
    state: Annotated[DeliveryState, Meta(description="Whether it waits, arrived or was given up.")]
    attempts: Annotated[int, Meta(ge=0, description="How often it was tried.", examples=[1])]
    next_attempt_at: Annotated[datetime, Meta(tz=True, description="When it is tried next, if it waits.")] | None
    settled_at: Annotated[datetime, Meta(tz=True, description="When it arrived or was given up.")] | None
    status: Annotated[int, Meta(description="What the receiver answered last.", examples=[500])] | None
    failure: Annotated[Failure, Meta(description="Why the last try failed.")] | None


class Redelivery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which events to send again: those that are named, all since a moment, or by default all that were given up."""

    events: (
        Annotated[
            list[Annotated[str, Meta(min_length=1, max_length=64)]],
            Meta(min_length=1, max_length=1000, description="Their ids."),
        ]
        | None
    ) = None
    since: Annotated[datetime, Meta(tz=True, description="All that happened since.")] | None = None

    def __post_init__(self) -> None:
        if self.events is not None and self.since is not None:
            raise ValueError("name events or a moment, not both")


class Redelivered(Struct, frozen=True):
    """How many events are on their way again."""

    events: Annotated[int, Meta(ge=0, le=10_000, description="At most 10,000 at once.", examples=[3])]


class EventController(Controller):
    """What happened, for those who ask."""

    path = EVENTS
    tags = ("Events",)
    guards = (requires(Scope.CONSENTS),)

    @get(operation_id="listEvents", summary="Ask what happened", responses=problems(*_PROBLEMS))
    async def list_events(
        self,
        principal: NamedDependency[Principal],
        events: NamedDependency[EventService],
        limit: Limited = 100,
        cursor: Annotated[
            str | None,
            QueryParameter(
                pattern=r"^[0-9]{1,18}$",
                required=False,
                description="`meta.next_cursor` of the page before; without it the oldest events come first.",
            ),
        ] = None,
        types: Annotated[
            list[EventType] | None, QueryParameter(name="type", required=False, description="Only these types.")
        ] = None,
    ) -> Envelope[list[Event]]:
        """Gives the partner's events in order, each once, to whoever doesn't take webhooks or missed some.

        Keep `meta.next_cursor` and ask again with it: it is never null, and no event ever appears behind it. Events
        are kept for thirty days, unless the operator says otherwise.
        """
        after = None if cursor is None else int(cursor)
        found, last = await events.after(principal.partner, after, types or [], limit)
        return Envelope([each.event for each in found], meta={"limit": limit, "next_cursor": str(last)})


class EventSubscriptionController(Controller):
    """Signed webhooks."""

    path = SUBSCRIPTIONS
    tags = ("Events",)
    guards = (requires(Scope.PARTNER),)

    @post(
        operation_id="createEventSubscription",
        summary="Have events sent",
        responses=problems(Code.MALFORMED, *_PROBLEMS, Code.WRONG_STATE, Code.INVALID),
    )
    async def create(
        self,
        data: JSONBody[NewSubscription],
        principal: NamedDependency[Principal],
        events: NamedDependency[EventService],
    ) -> Response[Envelope[SecretView]]:
        """Sends what happens from now on to a URL, signed as Standard Webhooks says. The secret is shown this once."""
        made, secret = await events.subscribe(
            principal.partner, url=data.url, types=data.types, description=data.description
        )
        return Response(_secret(made, secret), headers={"location": f"{SUBSCRIPTIONS}/{made.id}"})

    @get(operation_id="listEventSubscriptions", summary="List the subscriptions", responses=problems(*_PROBLEMS))
    async def list_all(
        self, principal: NamedDependency[Principal], events: NamedDependency[EventService]
    ) -> Envelope[list[SubscriptionView]]:
        """Gives all of the partner's subscriptions, the oldest first: there are ten at most."""
        return Envelope([_view(each) for each in await events.subscriptions(principal.partner)])

    @get(
        "/{subscription_id:str}",
        operation_id="getEventSubscription",
        summary="See how a subscription goes",
        responses=problems(*_PROBLEMS, Code.NOT_FOUND),
    )
    async def read(
        self,
        subscription_id: SubscriptionId,
        principal: NamedDependency[Principal],
        events: NamedDependency[EventService],
    ) -> Envelope[SubscriptionView]:
        """Gives the subscription, and how many events wait for it or were given up."""
        return Envelope(_view(await events.subscription(principal.partner, subscription_id)))

    @patch(
        "/{subscription_id:str}",
        operation_id="changeEventSubscription",
        summary="Change a subscription",
        responses=problems(Code.MALFORMED, *_PROBLEMS, Code.NOT_FOUND, Code.INVALID),
    )
    async def change(
        self,
        subscription_id: SubscriptionId,
        data: JSONBody[SubscriptionChange],
        principal: NamedDependency[Principal],
        events: NamedDependency[EventService],
    ) -> Envelope[SubscriptionView]:
        """Changes what is sent where. Switched off, what waits is given up; switched on again, it begins afresh."""
        standing = await events.change(
            principal.partner,
            subscription_id,
            url=_given(data.url),
            types=_given(data.types),
            all_types=data.types is None,
            description=_given(data.description),
            status=_given(data.status),
        )
        return Envelope(_view(standing))

    @delete(
        "/{subscription_id:str}",
        operation_id="deleteEventSubscription",
        summary="End a subscription",
        responses=problems(*_PROBLEMS, Code.NOT_FOUND),
    )
    async def remove(
        self,
        subscription_id: SubscriptionId,
        principal: NamedDependency[Principal],
        events: NamedDependency[EventService],
    ) -> None:
        """Sends nothing more, and forgets what waited."""
        await events.unsubscribe(principal.partner, subscription_id)

    @post(
        "/{subscription_id:str}/test",
        status_code=200,
        operation_id="testEventSubscription",
        summary="Send a test event",
        responses=problems(*_PROBLEMS, Code.NOT_FOUND, Code.RATE_LIMITED),
    )
    async def test(
        self,
        subscription_id: SubscriptionId,
        principal: NamedDependency[Principal],
        events: NamedDependency[EventService],
    ) -> Envelope[AttemptView]:
        """Sends an event of the type `event_subscription.test` once, and says at once what came of it."""
        event, attempt = await events.test(principal.partner, subscription_id)
        return Envelope(_attempt(event, attempt))

    @post(
        "/{subscription_id:str}/secret-rolls",
        operation_id="rollEventSubscriptionSecret",
        summary="Change the secret",
        responses=problems(Code.MALFORMED, *_PROBLEMS, Code.NOT_FOUND, Code.INVALID),
    )
    async def roll(
        self,
        subscription_id: SubscriptionId,
        data: JSONBody[SecretRoll],
        principal: NamedDependency[Principal],
        events: NamedDependency[EventService],
    ) -> Envelope[SecretView]:
        """Makes a new secret, which is shown this once. For `overlap_hours` each message has both signatures.

        Rolled again meanwhile, the secret before last ends at once: two sign at most.
        """
        rolled, secret = await events.roll(principal.partner, subscription_id, timedelta(hours=data.overlap_hours))
        return _secret(rolled, secret)

    @get(
        "/{subscription_id:str}/deliveries",
        operation_id="listEventDeliveries",
        summary="See what was sent, waits or was given up",
        responses=problems(*_PROBLEMS, Code.NOT_FOUND),
    )
    async def deliveries(
        self,
        subscription_id: SubscriptionId,
        principal: NamedDependency[Principal],
        events: NamedDependency[EventService],
        in_state: Annotated[
            DeliveryState | None, QueryParameter(name="state", required=False, description="Only these.")
        ] = None,
        limit: Limited = 100,
        cursor: Annotated[
            str | None,
            QueryParameter(
                pattern=r"^[0-9]{1,18}$", required=False, description="`meta.next_cursor` of the page before."
            ),
        ] = None,
    ) -> Envelope[list[DeliveryView]]:
        """Gives how the telling of each event stands, the newest event first; `state=dead` is the dead-letter list."""
        before = None if cursor is None else int(cursor)
        found = await events.deliveries(principal.partner, subscription_id, in_state, before, limit + 1)
        return _page(found, limit, f"{SUBSCRIPTIONS}/{subscription_id}/deliveries", in_state)

    @post(
        "/{subscription_id:str}/redeliveries",
        status_code=202,
        operation_id="redeliverEvents",
        summary="Send events again",
        responses=problems(Code.MALFORMED, *_PROBLEMS, Code.NOT_FOUND, Code.WRONG_STATE, Code.INVALID),
    )
    async def redeliver(
        self,
        subscription_id: SubscriptionId,
        data: JSONBody[Redelivery],
        principal: NamedDependency[Principal],
        events: NamedDependency[EventService],
        event_worker: NamedDependency[EventWorker],
    ) -> Envelope[Redelivered]:
        """Sends events to the subscription again, with a schedule of their own as if they were new.

        An event keeps its id: a receiver that has it already may throw it away.
        """
        count = await events.again(principal.partner, subscription_id, events=data.events, since=data.since)
        event_worker.wake()
        return Envelope(Redelivered(count))


def _given(value: Any) -> Any:
    return None if value is UNSET else value


def _whole(moment: datetime | None) -> datetime | None:
    return None if moment is None else whole_seconds(moment)


def _view(standing: Standing) -> SubscriptionView:
    subscription = standing.subscription
    return SubscriptionView(
        id=subscription.id,
        url=subscription.url,
        types=None if subscription.types is None else list(subscription.types),
        description=subscription.description,
        status=subscription.status,
        disabled_reason=subscription.disabled_reason,
        created_at=subscription.created_at,
        failing_since=_whole(subscription.failing_since),
        previous_secret_until=subscription.previous_until,
        pending=standing.pending,
        dead=standing.dead,
    )


def _secret(subscription: Subscription, secret: str) -> Envelope[SecretView]:
    view = SecretView(id=subscription.id, secret=secret, previous_secret_until=subscription.previous_until)
    return Envelope(view, links={"self": f"{SUBSCRIPTIONS}/{subscription.id}"})


def _attempt(event: Event, attempt: Attempt) -> AttemptView:
    return AttemptView(event, attempt.arrived, attempt.status, attempt.failure)


def _page(
    found: Sequence[Delivery], limit: int, address: str, state: DeliveryState | None
) -> Envelope[list[DeliveryView]]:
    page = found[:limit]
    next_cursor = str(page[-1].number) if len(found) > limit else None
    of_state = "" if state is None else f"&state={state.value}"
    links = {} if next_cursor is None else {"next": f"{address}?limit={limit}{of_state}&cursor={next_cursor}"}
    return Envelope(
        [
            DeliveryView(
                event_id=each.event_id,
                event_type=each.event_type,
                state=each.state,
                attempts=each.attempts,
                next_attempt_at=whole_seconds(each.due_at) if each.state is DeliveryState.PENDING else None,
                settled_at=_whole(each.settled_at),
                status=each.status,
                failure=each.failure,
            )
            for each in page
        ],
        links=links or UNSET,
        meta={"limit": limit, "next_cursor": next_cursor},
    )

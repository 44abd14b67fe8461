"""``xinyi events``: where partners are told what happens, and what didn't arrive."""

from datetime import date

import click

from ..audit.model import Act
from ..events.model import DeliveryState
from ..wiring import Services
from .accounts import account
from .context import print_json, with_services
from .moments import Day, span
from .options import json_option, limit_option, reason_option
from .tables import show_table
from .words import both, say


@click.group()
def events() -> None:
    """Where partners are told what happens, and what didn't arrive (事件)."""


@events.command()
@click.option("--partner", "partner_id", help="Only of this partner.")
@json_option
@with_services
async def subscriptions(services: Services, partner_id: str | None, as_json: bool) -> None:
    """List the subscriptions, with how many events wait for each and how many were given up."""
    async with services.database.read() as tx:
        partners = [partner.id for partner in await services.partners.partners(tx)]
    wanted = [each for each in partners if partner_id in {None, each}]
    found = [standing for each in wanted for standing in await services.events.subscriptions(each)]
    rows = [
        {
            "id": each.subscription.id,
            "partner": each.subscription.partner_id,
            "url": each.subscription.url,
            "status": each.subscription.status.value,
            "why": "" if each.subscription.disabled_reason is None else each.subscription.disabled_reason.value,
            "pending": each.pending,
            "dead": each.dead,
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
        return
    headings = ["id", "partner", "url", "status", "why", "pending", "dead"]
    show_table(headings, [tuple(map(str, row.values())) for row in rows], numeric=("pending", "dead"))


@events.command()
@click.argument("subscription_id", metavar="ID")
@limit_option(10_000)
@json_option
@with_services
async def dead(services: Services, subscription_id: str, limit: int, as_json: bool) -> None:
    """List the events that a subscription wasn't told in all tries, the newest first."""
    partner_id = await services.events.partner_of(subscription_id)
    found = await services.events.deliveries(partner_id, subscription_id, DeliveryState.DEAD, None, limit)
    if as_json:
        print_json(found)
        return
    show_table(
        ["event", "type", "attempts", "failure", "status"],
        [
            (
                each.event_id,
                each.event_type,
                str(each.attempts),
                "" if each.failure is None else each.failure.value,
                "" if each.status is None else str(each.status),
            )
            for each in found
        ],
        numeric=("attempts",),
    )


@events.command()
@click.argument("subscription_id", metavar="ID")
@click.option("--event", "event_ids", multiple=True, help="This event, dead or not; may be said again.")
@click.option("--since", type=Day(), help="All that happened from this day on, in China.")
@reason_option
@with_services
async def redeliver(
    services: Services, subscription_id: str, event_ids: tuple[str, ...], since: date | None, reason: str
) -> None:
    """Send a subscription again what it wasn't told in all tries, or the events that are named."""
    if event_ids and since is not None:
        raise click.UsageError(both("--event 与 --since 只能给一项", "name events or a day, not both"))
    partner_id = await services.events.partner_of(subscription_id)
    async with services.database.transaction() as tx:
        count = await services.events.again_within(
            tx, partner_id, subscription_id, events=event_ids or None, since=span(since, None)[0]
        )
        await services.audit.note(tx, Act.EVENTS_REDELIVERED, subscription_id, by=account(), reason=reason)
    say(f"将重新发送 {count} 个事件", f"{count} events are sent again", of=subscription_id)

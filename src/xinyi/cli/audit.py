"""``xinyi audit``: who asked what by whose authority, and what the operator did."""

from datetime import date

import click

from ..audit.model import NAMES
from ..checks.query_log import QueryFilter
from ..kernel.clock import CHINA_TIME
from ..wiring import Services
from .context import print_json, with_services
from .moments import span
from .options import from_option, json_option, limit_option, to_option
from .tables import show_table
from .words import named

_TIME = "%Y-%m-%d %H:%M:%S"


@click.group()
def audit() -> None:
    """Who asked what, and what the operator did (审计)."""


@audit.command()
@click.option("--partner", "partner_id", help="Only of this partner.")
@click.option("--scenario", help="Only in this scenario.")
@click.option("--consent", "consent_id", help="Only under this consent.")
@click.option("--reference", help="Only of this case of the partner's.")
@from_option
@to_option
@limit_option(100_000)
@json_option
@with_services
async def checks(
    services: Services,
    partner_id: str | None,
    scenario: str | None,
    consent_id: str | None,
    reference: str | None,
    first: date | None,
    last: date | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the query log, the newest first: time, caller, authoriser and purpose. It holds no answer."""
    since, until = span(first, last)
    which = QueryFilter(
        partner_id=partner_id, scenario=scenario, consent_id=consent_id, reference=reference, since=since, until=until
    )
    async with services.database.read() as tx:
        found = await services.query_log.queries(tx, which, limit=limit)
    if as_json:
        print_json(found)
        return
    show_table(
        ["time", "partner", "client", "authoriser", "consent", "purpose", "reference", "refusal"],
        [
            (
                query.at.astimezone(CHINA_TIME).strftime(_TIME),
                named(query.partner) + ("" if query.sub_party is None else f" ({named(query.sub_party)})"),
                query.client_id,
                (query.subject or "") + (" (代表 / representative)" if query.by_representative else ""),
                query.consent_id,
                query.scenario if query.purpose is None else named(query.purpose),
                query.reference,
                query.refusal or "",
            )
            for query in found
        ],
    )


@audit.command()
@click.option("--about", help="Only about this partner, price, dispute or subscription: its id.")
@from_option
@to_option
@limit_option(100_000)
@json_option
@with_services
async def acts(
    services: Services,
    about: str | None,
    first: date | None,
    last: date | None,
    limit: int,
    as_json: bool,
) -> None:
    """List what the operator did, the newest first: time, account, act, what it was done to, and why."""
    since, until = span(first, last)
    async with services.database.read() as tx:
        found = await services.audit.acts(tx, about=about, since=since, until=until, limit=limit)
    if as_json:
        print_json(found)
        return
    show_table(
        ["time", "account", "act", "about", "reason"],
        [
            (
                entry.at.astimezone(CHINA_TIME).strftime(_TIME),
                entry.by,
                named(NAMES[entry.act]),
                entry.about,
                entry.reason,
            )
            for entry in found
        ],
    )


@audit.command()
@click.option("--client", "client_id", help="Only of this client.")
@limit_option(100_000)
@json_option
@with_services
async def keys(services: Services, client_id: str | None, limit: int, as_json: bool) -> None:
    """List which keys clients were given and lost, the newest first: when, and by the client itself or the operator."""
    async with services.database.read() as tx:
        found = await services.partners.key_changes(tx, client_id=client_id, limit=limit)
    if as_json:
        print_json(found)
        return
    show_table(
        ["time", "client", "change", "key", "kid", "by"],
        [
            (
                each.at.astimezone(CHINA_TIME).strftime(_TIME),
                each.client_id,
                each.change,
                each.key_id,
                each.kid,
                each.made_by,
            )
            for each in found
        ],
    )

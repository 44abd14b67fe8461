"""``xinyi usage``: what partners used, and what it costs."""

import csv
import sys
from datetime import date
from pathlib import Path

import click

from ..audit.model import Act
from ..usage.model import CURRENCY, EVERYBODY, Period, Price, Usage, day_of, units_of, yuan
from ..wiring import Services
from .accounts import account
from .context import print_json, with_services
from .moments import Day
from .options import json_option, reason_option
from .tables import show_table
from .words import both, say

_COLUMNS = ("period", "partner", "scenario", "answered", "refused", "amount", "currency")


@click.group()
def usage() -> None:
    """What partners used, and what it costs (计量与成本补偿)."""


@usage.command()
@click.option("--from", "first", type=Day(), help="The first day, in China; by default the first of the last's month.")
@click.option("--to", "last", type=Day(), help="The last day; by default today.")
@click.option("--by", type=click.Choice([each.value for each in Period]), default="month", show_default=True)
@click.option("--partner", "partner_id", help="Only of this partner.")
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, allow_dash=True), help="Write CSV here; - prints it."
)
@json_option
@with_services
async def show(
    services: Services,
    first: date | None,
    last: date | None,
    by: str,
    partner_id: str | None,
    csv_file: str | None,
    as_json: bool,
) -> None:
    """Show the checks by period, partner and scenario: answers, and refusals, which cost nothing."""
    found = await services.usage.usage(first, last, Period(by), partner_id=partner_id)
    if csv_file is not None:
        _write(csv_file, found)
    elif as_json:
        print_json([dict(zip(_COLUMNS, _row(each), strict=True)) for each in found])
    else:
        show_table(
            ["period", "partner", "scenario", "answered", "refused", "amount"],
            [(*map(str, _row(each)[:-2]), f"{each.amount} {CURRENCY}") for each in found],
            numeric=("answered", "refused", "amount"),
        )


@usage.command()
@click.argument("scenario")
@click.argument("yuan_", metavar="YUAN")
@click.option("--partner", "partner_id", help="Only for this partner; everybody else's price stays.")
@click.option("--since", type=Day(), help="From this day on, in China; by default today.")
@reason_option
@with_services
async def price(
    services: Services, scenario: str, yuan_: str, partner_id: str | None, since: date | None, reason: str
) -> None:
    """Set what one answer in SCENARIO costs, in YUAN with four decimals at most. Without a price it costs nothing."""
    services.scenarios.get(scenario)
    try:
        units = units_of(yuan_)
    except ValueError as error:
        raise click.BadParameter(both("金额有误", str(error)), param_hint="YUAN") from error
    since = since or day_of(services.clock.now())
    async with services.database.transaction() as tx:
        if partner_id is not None:
            await services.partners.partner(tx, partner_id)
        await services.usage.set_price(tx, Price(scenario, partner_id or EVERYBODY, since, units))
        told = f"{partner_id or 'everybody'}: {yuan(units)} {CURRENCY} from {since}: {reason}"
        await services.audit.note(tx, Act.PRICE_SET, scenario, by=account(), reason=told)
    say(
        f"自 {since} 起每次答复 {yuan(units)} 元",
        f"{yuan(units)} {CURRENCY} an answer from {since} on",
        of=scenario,
    )


@usage.command()
@json_option
@with_services
async def prices(services: Services, as_json: bool) -> None:
    """List all prices, those that are over included."""
    found = await services.usage.prices()
    rows = [(each.scenario_id, each.partner_id, each.since.isoformat(), yuan(each.units)) for each in found]
    if as_json:
        print_json([dict(zip(("scenario", "partner", "since", CURRENCY), row, strict=True)) for row in rows])
    else:
        priced = [(*rest, f"{units} {CURRENCY}") for *rest, units in rows]
        show_table(["scenario", "partner", "since", "price"], priced, numeric=("price",))


def _row(usage: Usage) -> tuple[str, str, str, int, int, str, str]:
    return (
        usage.period,
        usage.partner_id,
        usage.scenario_id,
        usage.answered,
        usage.refused,
        usage.amount,
        CURRENCY,
    )


def _write(file: str, found: list[Usage]) -> None:
    """CSV (RFC 4180); in a file with the mark by which spreadsheets know UTF-8."""
    rows = [_COLUMNS, *map(_row, found)]
    if file == "-":
        csv.writer(sys.stdout).writerows(rows)
        return
    with Path(file).open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows(rows)

"""``xinyi clients``: partners' programs, their keys, and the scenarios they were given."""

from collections.abc import Sequence
from typing import BinaryIO

import click

from ..audit.model import Act
from ..audit.service import MAX_REASON
from ..kernel.errors import XinyiError
from ..partners.model import Client, Partner
from ..scenarios.model import Scenario
from ..scenarios.registry import Registry
from ..wiring import Services
from .accounts import account
from .client_keys import keys
from .context import print_json, read_jwks, with_services
from .options import json_option, reason_option
from .tables import show_table
from .words import both, say


@click.group()
def clients() -> None:
    """Partners' programs. A client authenticates by its own keys and uses only the scenarios it was given."""


clients.add_command(keys)


@clients.command()
@click.option("--partner", "partner_id", metavar="ID", required=True, help="Whose program it is.")
@click.option("--name", required=True, help="What the partner calls it.")
@click.option("--jwks", type=click.File("rb"), help="Its public keys, a JWK Set (RFC 7517).")
@click.option("--jwks-uri", metavar="URL", help="Where it publishes its keys, instead of --jwks.")
@click.option(
    "--redirect-uri", "redirect_uris", metavar="URI", multiple=True, help="Where subjects come back to, to the letter."
)
@click.option(
    "--scenario",
    "scenarios",
    metavar="ID[=UNIT,UNIT…]",
    multiple=True,
    required=True,
    help="A scenario that it may use, with what it may learn of it (default: all it tells).",
)
@json_option
@with_services
async def add(
    services: Services,
    partner_id: str,
    name: str,
    jwks: BinaryIO | None,
    jwks_uri: str | None,
    redirect_uris: tuple[str, ...],
    scenarios: tuple[str, ...],
    as_json: bool,
) -> None:
    """Register a client of a partner, and print its id."""
    if (jwks is None) == (jwks_uri is None):
        raise click.UsageError(both("--jwks 与 --jwks-uri 须给且只给一项", "give either --jwks or --jwks-uri"))
    document = None if jwks is None else read_jwks(jwks)
    async with services.database.transaction() as tx:
        partner = await services.partners.partner(tx, partner_id)
        client = await services.partners.add_client(
            tx,
            partner_id,
            name,
            document,
            jwks_uri=jwks_uri,
            redirect_uris=redirect_uris,
            scenarios=given_scenarios(scenarios, partner, services.scenarios),
        )
        told = f"{partner_id}: {', '.join(sorted(client.scenarios))}"[:MAX_REASON]
        await services.audit.note(tx, Act.CLIENT_ADDED, client.id, by=account(), reason=told)
    if as_json:
        print_json(_view(client))
    else:
        click.echo(client.id)


@clients.command("list")
@click.option("--partner", "partner_id", metavar="ID", help="Only this partner's.")
@json_option
@with_services
async def list_(services: Services, partner_id: str | None, as_json: bool) -> None:
    """List the clients, the oldest first."""
    async with services.database.read() as tx:
        found = await services.partners.clients(tx, partner_id)
    if as_json:
        print_json([_view(client) for client in found])
        return
    show_table(
        ["id", "owner", "name", "status", "scopes", "scenarios"],
        [
            (
                client.id,
                client.owner.id,
                client.name,
                client.status,
                " ".join(sorted(client.scopes)),
                " ".join(client.scenarios),
            )
            for client in found
        ],
    )


@clients.command()
@click.argument("client_id", metavar="ID")
@reason_option
@with_services
async def disable(services: Services, client_id: str, reason: str) -> None:
    """End a client for good: it gets no token, and the tokens it has get no answer."""
    async with services.database.transaction() as tx:
        await services.partners.disable_client(tx, client_id)
        await services.audit.note(tx, Act.CLIENT_DISABLED, client_id, by=account(), reason=reason)
    say("已停用", "disabled", of=client_id)


def given_scenarios(options: Sequence[str], partner: Partner, registry: Registry) -> dict[str, list[str] | None]:
    """What the ``--scenario`` options give. Raises ``click.ClickException`` for what can't be given to the partner."""
    given: dict[str, list[str] | None] = {}
    for option in options:
        scenario_id, joint, units = option.partition("=")
        scenario = _scenario(registry, scenario_id)
        if partner.kind not in scenario.partner_kinds:
            kinds = ", ".join(scenario.partner_kinds)
            raise click.ClickException(
                both(
                    f"该机构类别不适用 {scenario_id}", f"{scenario_id} is for {kinds}; the partner is a {partner.kind}"
                )
            )
        given[scenario_id] = _units(scenario, units) if joint else None
    return given


def _scenario(registry: Registry, scenario_id: str) -> Scenario:
    try:
        return registry.get(scenario_id)
    except XinyiError as error:
        raise click.ClickException(both("没有该应用场景", f"there is no scenario {scenario_id}")) from error


def _units(scenario: Scenario, text: str) -> list[str]:
    units = [unit for unit in text.split(",") if unit]
    unknown = sorted(set(units) - scenario.units)
    if unknown:
        can = ", ".join(sorted(scenario.units)) or "nothing but the overall outcome"
        raise click.ClickException(
            both("超出该应用场景可披露的范围", f"{scenario.id} doesn't tell {', '.join(unknown)}; it can tell {can}")
        )
    return units


def _view(client: Client) -> dict[str, object]:
    return {
        "id": client.id,
        "partner_id": client.partner_id,
        "source_id": client.source_id,
        "name": client.name,
        "status": client.status,
        "scopes": sorted(client.scopes),
        "jwks_uri": client.jwks_uri,
        "redirect_uris": client.redirect_uris,
        "scenarios": {
            scenario: None if units is None else sorted(units) for scenario, units in client.scenarios.items()
        },
    }

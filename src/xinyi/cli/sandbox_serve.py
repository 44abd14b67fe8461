"""``xinyi sandbox serve``: a sandbox for a client that somebody brings along."""

import asyncio
from io import BytesIO
from typing import BinaryIO, Final

import click
import msgspec
from msgspec.structs import replace

from ..kernel.text import Text
from ..oauth.authorization_details import TYPE
from ..oauth.metadata import AUTHORIZATION_SERVER
from ..partners.keys import check_jwks
from ..partners.model import Client
from ..records.rows import Format
from ..sandbox import personas, sources
from ..settings import Settings
from ..wiring import Services
from .clients import given_scenarios
from .context import current_settings, known_errors, read_jwks, require_sandbox
from .serve import run_server

_NAME: Final = Text("自带客户端的机构", "Bring-your-own-client partner")
_CONTACT: Final = "privacy@partner.example"


@click.command("serve")
@click.option("--jwks", type=click.File("rb"), required=True, help="The client's public keys, a JWK Set (RFC 7517).")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    metavar="URI",
    multiple=True,
    required=True,
    help="Where subjects come back to, to the letter.",
)
@click.option("--scenario", metavar="ID", default="microloan-prescreen", show_default=True, help="What it asks about.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
def serve_client(jwks: BinaryIO, redirect_uris: tuple[str, ...], scenario: str, port: int | None) -> None:
    """Run a sandbox for a client, and say what the client needs to know.

    The personas' records are imported and the client is registered, unless they are there. Then the server runs
    until it is told to stop.
    """
    settings = current_settings()
    require_sandbox(settings)
    document = read_jwks(jwks)

    def before(served: Settings) -> None:
        with known_errors():
            client = asyncio.run(_prepare(served, document, redirect_uris, scenario))
        _tell(served, client, scenario)

    run_server(settings if port is None else replace(settings, port=port), before=before)


async def _prepare(settings: Settings, jwks: object, redirect_uris: tuple[str, ...], scenario_id: str) -> Client:
    services = Services.build(settings)
    async with services.opened():
        await _import_personas(services)
        return await _client(services, jwks, redirect_uris, scenario_id)


async def _import_personas(services: Services) -> None:
    """Once: sources that are there have sent them."""
    async with services.database.transaction() as tx:
        there = bool(await services.partners.sources(tx))
        await sources.register(tx, services.partners)
    if there:
        return
    rows = list(personas.rows(services.clock.now().date()))
    for source in sources.SOURCES:
        own = [msgspec.json.encode(row) for row in rows if sources.SOURCE_OF[row.record_type] == source.id]
        await services.imports.run(
            await services.imports.open(source.id, Format.NDJSON, None), BytesIO(b"\n".join(own))
        )


async def _client(services: Services, jwks: object, redirect_uris: tuple[str, ...], scenario_id: str) -> Client:
    """The client that has just these keys, addresses and scenario: the one that is there, else a new one."""
    checked = check_jwks(jwks)
    async with services.database.transaction() as tx:
        for client in await services.partners.clients(tx):
            if (client.jwks, client.redirect_uris, list(client.scenarios)) == (checked, redirect_uris, [scenario_id]):
                return client
        kind = services.scenarios.get(scenario_id).partner_kinds[0]
        partner = await services.partners.add_partner(tx, _NAME, kind, _CONTACT)
        return await services.partners.add_client(
            tx,
            partner.id,
            "brought along",
            checked,
            redirect_uris=redirect_uris,
            scenarios=given_scenarios([scenario_id], partner, services.scenarios),
        )


def _tell(settings: Settings, client: Client, scenario_id: str) -> None:
    details = [{"type": TYPE, "scenario": scenario_id}]
    for name, value in (
        ("issuer", settings.issuer),
        ("discovery", settings.issuer + AUTHORIZATION_SERVER),
        ("client_id", client.id),
        *(("redirect_uri", uri) for uri in client.redirect_uris),
        ("scenario", scenario_id),
        ("authorization_details", msgspec.json.encode(details).decode()),
    ):
        click.echo(f"{name:<22} {value}")

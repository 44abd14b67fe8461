"""``xinyi sources``: the bodies that supply records."""

from typing import BinaryIO

import click

from ..audit.model import Act
from ..kernel.text import Text
from ..wiring import Services
from .accounts import account
from .context import read_jwks, with_services
from .options import reason_option
from .tables import show_table
from .words import both, heading, named, say


@click.group()
def sources() -> None:
    """The bodies that supply positive records (信息提供单位)."""


@sources.command()
@click.argument("source_id", metavar="ID")
@click.option("--name-zh", required=True, help="Its name in Chinese.")
@click.option("--name-en", required=True, help="Its name in English.")
@click.option(
    "--record-type",
    "record_types",
    metavar="CODE",
    multiple=True,
    required=True,
    help="A record type that it supplies.",
)
@click.option(
    "--jwks",
    type=click.File("rb"),
    help="Public keys of its program, to send records over HTTP; without them its files are imported here.",
)
@with_services
async def add(
    services: Services, source_id: str, name_zh: str, name_en: str, record_types: tuple[str, ...], jwks: BinaryIO | None
) -> None:
    """Register a source under ID, a slug such as `tax-bureau`."""
    unknown = [code for code in record_types if code not in services.catalogue]
    if unknown:
        raise click.ClickException(both("没有该数据项", f"the data list has no record type {', '.join(unknown)}"))
    document = None if jwks is None else read_jwks(jwks)
    async with services.database.transaction() as tx:
        source, client = await services.partners.add_source(
            tx, source_id, Text(name_zh, name_en), record_types, document
        )
        told = ", ".join(source.record_types)
        await services.audit.note(tx, Act.SOURCE_ADDED, source.id, by=account(), reason=told)
    click.echo(f"{heading('source')}: {source.id}")
    if client is not None:
        click.echo(f"{heading('client')}: {client.id}")


@sources.command("list")
@with_services
async def list_(services: Services) -> None:
    """List the sources and what they supply."""
    async with services.database.read() as tx:
        found = await services.partners.sources(tx)
    show_table(
        ["id", "name", "status", "record types"],
        [(source.id, named(source.name), source.status, " ".join(source.record_types)) for source in found],
    )


@sources.command()
@click.argument("source_id", metavar="ID")
@reason_option
@with_services
async def disable(services: Services, source_id: str, reason: str) -> None:
    """Take no more records from a source. What it has sent stays. `enable` undoes it."""
    async with services.database.transaction() as tx:
        await services.partners.suspend_source(tx, source_id)
        await services.audit.note(tx, Act.SOURCE_DISABLED, source_id, by=account(), reason=reason)
    say("已停止接收其记录", "suspended", of=source_id)


@sources.command()
@click.argument("source_id", metavar="ID")
@reason_option
@with_services
async def enable(services: Services, source_id: str, reason: str) -> None:
    """Take records from a source again."""
    async with services.database.transaction() as tx:
        await services.partners.resume_source(tx, source_id)
        await services.audit.note(tx, Act.SOURCE_ENABLED, source_id, by=account(), reason=reason)
    say("已恢复接收其记录", "active", of=source_id)

"""``xinyi partners``: the institutions that ask for checks."""

import click

from ..kernel.text import Text
from ..partners.model import Partner
from ..wiring import Services
from .context import print_json, with_services
from .tables import show_table


@click.group()
def partners() -> None:
    """The institutions that ask for checks (接入机构)."""


@partners.command()
@click.argument("name", required=False)
@click.option("--name-zh", help="Its name in Chinese, unless NAME is that.")
@click.option("--name-en", help="Its name in English, unless NAME is that.")
@click.option("--kind", required=True, help="What it is, as scenarios' partner_kinds say: bank, bike-share, …")
@click.option("--contact", required=True, help="How people reach it, as its consent pages are to say (PIPL 23).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_services
async def add(
    services: Services,
    name: str | None,
    name_zh: str | None,
    name_en: str | None,
    kind: str,
    contact: str,
    as_json: bool,
) -> None:
    """Register a partner called NAME, and print its id.

    NAME may be left out when --name-zh and --name-en are both there.
    """
    zh, en = name_zh or name, name_en or name
    if zh is None or en is None:
        raise click.UsageError("say NAME, or both --name-zh and --name-en")
    kinds = sorted({kind for scenario in services.scenarios.all() for kind in scenario.partner_kinds})
    if kind not in kinds:
        raise click.BadParameter(f"no scenario is for {kind}; they are for {', '.join(kinds)}", param_hint="--kind")
    async with services.database.transaction() as tx:
        partner = await services.partners.add_partner(tx, Text(zh, en), kind, contact)
    if as_json:
        print_json(_view(partner))
    else:
        click.echo(partner.id)


@partners.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_services
async def list_(services: Services, as_json: bool) -> None:
    """List the partners, the oldest first."""
    async with services.database.read() as tx:
        found = await services.partners.partners(tx)
    if as_json:
        print_json([_view(partner) for partner in found])
        return
    show_table(
        ["id", "名称", "name", "kind", "contact", "status"],
        [
            (partner.id, partner.name.zh, partner.name.en, partner.kind, partner.contact, partner.status)
            for partner in found
        ],
    )


@partners.command()
@click.argument("partner_id", metavar="ID")
@with_services
async def suspend(services: Services, partner_id: str) -> None:
    """Give a partner no token and no answer from now on. `resume` undoes it."""
    async with services.database.transaction() as tx:
        await services.partners.suspend_partner(tx, partner_id)
    click.echo(f"partner {partner_id}: suspended")


@partners.command()
@click.argument("partner_id", metavar="ID")
@with_services
async def resume(services: Services, partner_id: str) -> None:
    """Undo a suspension."""
    async with services.database.transaction() as tx:
        await services.partners.resume_partner(tx, partner_id)
    click.echo(f"partner {partner_id}: active")


def _view(partner: Partner) -> dict[str, object]:
    return {
        "id": partner.id,
        "name": partner.name,
        "kind": partner.kind,
        "contact": partner.contact,
        "status": partner.status,
    }

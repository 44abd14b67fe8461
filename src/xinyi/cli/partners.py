"""``xinyi partners``: the institutions that ask for checks."""

from typing import Final

import click

from ..audit.model import NAMES, Act
from ..kernel.clock import CHINA_TIME
from ..kernel.text import Text
from ..partners.model import Partner
from ..usage.model import Period
from ..wiring import Services
from .accounts import account
from .context import print_json, with_services
from .options import json_option, name_en_option, name_zh_option, reason_option
from .tables import show_table
from .words import both, named, say

_ACTS: Final = 20
"""What `show` tells of the audit."""
_TIME: Final = "%Y-%m-%d %H:%M:%S"


@click.group()
def partners() -> None:
    """The institutions that ask for checks (接入机构)."""


@partners.command()
@click.argument("name", required=False)
@name_zh_option
@name_en_option
@click.option("--kind", required=True, help="What it is, as scenarios' partner_kinds say: bank, bike-share, …")
@click.option("--contact", required=True, help="How people reach it, as its consent pages are to say (PIPL 23).")
@json_option
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
    called = _name(name, name_zh, name_en)
    kinds = sorted({kind for scenario in services.scenarios.all() for kind in scenario.partner_kinds})
    if kind not in kinds:
        known = f"no scenario is for {kind}; they are for {', '.join(kinds)}"
        raise click.BadParameter(both("没有适用该类别的应用场景", known), param_hint="--kind")
    async with services.database.transaction() as tx:
        partner = await services.partners.add_partner(tx, called, kind, contact)
        await services.audit.note(tx, Act.PARTNER_ADDED, partner.id, by=account(), reason=kind)
    if as_json:
        print_json(_view(partner))
    else:
        click.echo(partner.id)


@partners.command("list")
@json_option
@with_services
async def list_(services: Services, as_json: bool) -> None:
    """List the partners, the oldest first."""
    async with services.database.read() as tx:
        found = await services.partners.partners(tx)
    if as_json:
        print_json([_view(partner) for partner in found])
        return
    show_table(
        ["id", "name", "kind", "contact", "status"],
        [(partner.id, named(partner.name), partner.kind, partner.contact, partner.status) for partner in found],
    )


@partners.command()
@click.argument("partner_id", metavar="ID")
@json_option
@with_services
async def show(services: Services, partner_id: str, as_json: bool) -> None:
    """Show a partner: its programs with their scenarios, its events, this month's checks, and what was done to it."""
    async with services.database.read() as tx:
        partner = await services.partners.partner(tx, partner_id)
        clients = await services.partners.clients(tx, partner_id)
        acts = await services.audit.acts(tx, about=partner_id, limit=_ACTS)
    subscriptions = await services.events.subscriptions(partner_id)
    used = await services.usage.usage(None, None, Period.MONTH, partner_id=partner_id)
    view = {
        **_view(partner),
        "created_at": partner.created_at,
        "clients": [
            {"id": each.id, "name": each.name, "status": each.status, "scenarios": sorted(each.scenarios)}
            for each in clients
        ],
        "event_subscriptions": [
            {
                "id": each.subscription.id,
                "url": each.subscription.url,
                "status": each.subscription.status,
                "pending": each.pending,
                "dead": each.dead,
            }
            for each in subscriptions
        ],
        "usage": [
            {"period": each.period, "scenario": each.scenario_id, "answered": each.answered, "refused": each.refused}
            for each in used
        ],
        "acts": acts,
    }
    if as_json:
        print_json(view)
        return
    show_table(
        ["id", "kind", "contact", "status", "created at"],
        [
            (
                partner.id,
                partner.kind,
                partner.contact,
                partner.status,
                f"{partner.created_at.astimezone(CHINA_TIME):{_TIME}}",
            )
        ],
        title=named(partner.name),
    )
    show_table(
        ["client", "name", "status", "scenarios"],
        [(each.id, each.name, each.status, " ".join(sorted(each.scenarios))) for each in clients],
    )
    show_table(
        ["url", "status", "pending", "dead"],
        [
            (each.subscription.url, each.subscription.status, str(each.pending), str(each.dead))
            for each in subscriptions
        ],
        numeric=("pending", "dead"),
    )
    show_table(
        ["period", "scenario", "answered", "refused"],
        [(each.period, each.scenario_id, str(each.answered), str(each.refused)) for each in used],
        numeric=("answered", "refused"),
    )
    show_table(
        ["time", "account", "act", "reason"],
        [(f"{each.at.astimezone(CHINA_TIME):{_TIME}}", each.by, named(NAMES[each.act]), each.reason) for each in acts],
    )


@partners.command()
@click.argument("partner_id", metavar="ID")
@reason_option
@with_services
async def suspend(services: Services, partner_id: str, reason: str) -> None:
    """Give a partner no token and no answer from now on. `unsuspend` undoes it."""
    async with services.database.transaction() as tx:
        await services.partners.suspend_partner(tx, partner_id)
        await services.audit.note(tx, Act.PARTNER_SUSPENDED, partner_id, by=account(), reason=reason)
    say("已暂停", "suspended", of=partner_id)


@partners.command()
@click.argument("partner_id", metavar="ID")
@reason_option
@with_services
async def unsuspend(services: Services, partner_id: str, reason: str) -> None:
    """Undo a suspension: everything is as it was before."""
    async with services.database.transaction() as tx:
        await services.partners.resume_partner(tx, partner_id)
        await services.audit.note(tx, Act.PARTNER_UNSUSPENDED, partner_id, by=account(), reason=reason)
    say("已恢复", "active", of=partner_id)


@partners.group("sub-party")
def sub_party() -> None:
    """A partner's branches and merchants (分支机构、入驻商户): people see who acts for it."""


@sub_party.command("add")
@click.argument("partner_id", metavar="PARTNER")
@click.argument("name", required=False)
@name_zh_option
@name_en_option
@click.option("--contact", help="How people reach it, when that is another way than the partner's.")
@reason_option
@json_option
@with_services
async def add_sub_party(
    services: Services,
    partner_id: str,
    name: str | None,
    name_zh: str | None,
    name_en: str | None,
    contact: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Register a branch or merchant of PARTNER called NAME, and print its id.

    NAME may be left out when --name-zh and --name-en are both there.
    """
    called = _name(name, name_zh, name_en)
    async with services.database.transaction() as tx:
        added = await services.partners.add_sub_party(tx, partner_id, called, contact)
        await services.audit.note(tx, Act.SUB_PARTY_ADDED, added.id, by=account(), reason=reason)
    if as_json:
        print_json(added)
    else:
        click.echo(added.id)


@sub_party.command("list")
@click.argument("partner_id", metavar="PARTNER")
@json_option
@with_services
async def list_sub_parties(services: Services, partner_id: str, as_json: bool) -> None:
    """List the branches and merchants of PARTNER, the oldest first, closed ones too."""
    async with services.database.read() as tx:
        partner = await services.partners.partner(tx, partner_id)
        found = await services.partners.sub_parties(tx, partner.id)
    if as_json:
        print_json(found)
        return
    show_table(
        ["id", "name", "contact", "status"],
        [(each.id, named(each.name), each.contact or "", each.status) for each in found],
    )


@sub_party.command("close")
@click.argument("partner_id", metavar="PARTNER")
@click.argument("sub_party_id", metavar="ID")
@reason_option
@with_services
async def close_sub_party(services: Services, partner_id: str, sub_party_id: str, reason: str) -> None:
    """Close a branch or merchant for good: nothing is asked under it, and no check is answered.

    Consents that were given to it stay with their subjects, who may withdraw them.
    """
    async with services.database.transaction() as tx:
        await services.partners.close_sub_party(tx, partner_id, sub_party_id)
        await services.audit.note(tx, Act.SUB_PARTY_CLOSED, sub_party_id, by=account(), reason=reason)
    say("已关闭", "closed", of=sub_party_id)


def _name(name: str | None, name_zh: str | None, name_en: str | None) -> Text:
    zh, en = name_zh or name, name_en or name
    if zh is None or en is None:
        raise click.UsageError(both("请给出中文名和英文名", "say NAME, or both --name-zh and --name-en"))
    return Text(zh, en)


def _view(partner: Partner) -> dict[str, object]:
    return {
        "id": partner.id,
        "name": partner.name,
        "kind": partner.kind,
        "contact": partner.contact,
        "status": partner.status,
    }

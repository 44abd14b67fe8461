"""``xinyi disputes``: what subjects contest, and the operator's answer where a source gives none."""

from typing import BinaryIO

import click
import msgspec

from ..audit.model import Act
from ..kernel.clock import CHINA_TIME
from ..records.amendments import Correction
from ..records.model import Dispute, DisputeState, Settler, due_within
from ..wiring import Services
from .accounts import account
from .context import print_json, with_services
from .options import json_option, limit_option, reason_option
from .tables import show_table
from .words import both, say

_ANSWERED = {
    DisputeState.UPHELD: "记录维持不变",
    DisputeState.CORRECTED: "记录已更正",
    DisputeState.WITHDRAWN: "记录已撤回",
}
_TIME = "%Y-%m-%d %H:%M"


@click.group()
def disputes() -> None:
    """Records that their subjects contest (异议)."""


@disputes.command("list")
@click.option("--all", "every", is_flag=True, help="Those that are settled as well.")
@click.option("--after", default="", help="Only those behind this id.")
@limit_option(10_000)
@json_option
@with_services
async def list_(services: Services, every: bool, after: str, limit: int, as_json: bool) -> None:
    """List the disputes that are open, the oldest first. Names no subject, and shows no record."""
    async with services.database.read() as tx:
        found = await services.disputes.all(tx, only_open=not every, after=after, limit=limit)
    if as_json:
        print_json([_view(dispute) for dispute in found])
        return
    now = services.clock.now()
    show_table(
        ["id", "record type", "source", "opened", "due", "state", "statement"],
        [
            (
                dispute.id,
                dispute.record_type,
                dispute.source_id,
                dispute.opened_at.astimezone(CHINA_TIME).strftime(_TIME),
                due_within(dispute.due_at).astimezone(CHINA_TIME).strftime(_TIME),
                "overdue" if dispute.open and dispute.due_at <= now else dispute.state.value,
                dispute.statement or "",
            )
            for dispute in found
        ],
    )


@disputes.command()
@click.argument("dispute_id", metavar="ID")
@click.option(
    "--outcome", type=click.Choice([each.value for each in _ANSWERED]), required=True, help="What it came to."
)
@click.option("--words", required=True, help="What the subject is told.")
@reason_option
@click.option(
    "--correction",
    "correction_file",
    type=click.File("rb"),
    help="With `corrected`: JSON of what the record says from now on, as POST /v1/records/{id}/corrections takes it.",
)
@with_services
async def answer(
    services: Services, dispute_id: str, outcome: str, words: str, reason: str, correction_file: BinaryIO | None
) -> None:
    """Answer a dispute in the source's place: the record stands, is put right, or is taken back."""
    correction = None
    if correction_file is not None:
        try:
            correction = msgspec.json.decode(correction_file.read(), type=Correction)
        except msgspec.DecodeError as error:
            raise click.BadParameter(both("更正内容有误", str(error)), param_hint="--correction") from error
    async with services.database.transaction() as tx:
        settled = await services.disputes.answer(
            tx, dispute_id, DisputeState(outcome), words, by=Settler.OPERATOR, correction=correction
        )
        await services.audit.note(tx, Act.DISPUTE_ANSWERED, dispute_id, by=account(), reason=reason)
    say(_ANSWERED[settled.state], settled.state.value, of=settled.id)


def _view(dispute: Dispute) -> dict[str, object]:
    """What an operator needs: the subject isn't named."""
    return {
        "id": dispute.id,
        "record_id": dispute.record_id,
        "record_type": dispute.record_type,
        "source": dispute.source_id,
        "statement": dispute.statement,
        "opened_at": dispute.opened_at,
        "due_at": dispute.due_at,
        "state": dispute.state,
        "settled_at": dispute.settled_at,
        "settled_by": dispute.settled_by,
        "answer": dispute.answer,
    }

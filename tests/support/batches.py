"""Short ways to send a batch and to see what became of it."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import func, select

from xinyi.batches.model import BatchItem, CheckBatch, ItemResult
from xinyi.batches.service import BatchService
from xinyi.checks.model import Answered, CheckRequest, Result
from xinyi.checks.tables import checks
from xinyi.consents.model import Consent
from xinyi.consents.tables import consents
from xinyi.ledger.tables import ledger_leaves
from xinyi.partners.model import Client
from xinyi.wiring import Services


def question(consent: Consent | str, reference: str = "CASE-1", scenario: str | None = None) -> CheckRequest:
    if isinstance(consent, str):
        return CheckRequest(scenario or "bike-deposit", consent, reference)
    return CheckRequest(scenario or consent.scenario_id, consent.id, reference)


async def submit(
    services: Services, client: Client, questions: Iterable[CheckRequest], *, key: str = "key-1", **more: Any
) -> CheckBatch:
    assert client.partner_id is not None
    asked = list(questions)
    return await services.batches.submit(
        [BatchItem(number, request) for number, request in enumerate(asked, 1)],
        partner_id=client.partner_id,
        client_id=client.id,
        consent_id=more.pop("bound", None),
        digest=more.pop("digest", repr(len(asked))),
        key=key,
    )


async def finish(batches: BatchService) -> int:
    """Takes turns until no batch waits; gives how many there were."""
    turns = 0
    while await batches.turn():
        turns += 1
    return turns


async def results(services: Services, batch: CheckBatch) -> list[ItemResult]:
    _, found = await services.batches.results(batch.id, client_id=batch.client_id, after=0, limit=batch.total)
    return found


def told(result: Result) -> Any:
    """What a result says, without what is new each time: ids, salts, receipts."""
    if isinstance(result, Answered):
        data = msgspec.json.decode(result.body)["data"]
        return {name: data[name] for name in data if name not in {"id", "salts"}}
    return result.code, result.source


async def tally(services: Services) -> tuple[int, int, int]:
    """Answers stored, uses counted, leaves of answers: equal when nothing was lost or doubled."""
    async with services.database.read() as tx:
        stored = await tx.execute(select(func.count()).select_from(checks).where(checks.c.outcome.is_not(None)))
        used = await tx.execute(select(func.sum(consents.c.use_count)))
        leaves = await tx.execute(
            select(func.count()).select_from(ledger_leaves).where(ledger_leaves.c.kind == "check")
        )
        return stored.scalar_one(), int(used.scalar_one()), leaves.scalar_one()

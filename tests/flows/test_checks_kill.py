"""A server that is killed while it answers checks loses nothing that it acknowledged."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from tests.support.clock import ManualClock
from tests.support.pairs import Pair
from tests.support.process import ServerProcess, server_process, xinyi
from tests.support.world import PERSON, new_world
from xinyi.checks.tables import checks
from xinyi.ledger.tables import ledger_leaves
from xinyi.settings import Settings
from xinyi.wiring import Services
from xinyi_sdk import Answer, AsyncXinyi, ConnectionFailed, verify_receipt

KILLS = 3
ACKNOWLEDGED_BEFORE_EACH = 40
CALLERS = 8


@asynccontextmanager
async def partner(server: ServerProcess, client_id: str, key: dict[str, Any]) -> AsyncIterator[AsyncXinyi]:
    async with AsyncXinyi(base_url=server.url, client_id=client_id, private_key=key, max_retries=0) as client:
        yield client


async def test_every_acknowledged_check_survives_a_kill_and_the_ledger_verifies(tmp_path: Path, pair: Pair) -> None:
    async with new_world(tmp_path, pair, ManualClock(datetime.now(UTC))) as world:
        bike, person = await world.client("bike-deposit", kind="bike-share"), await world.subject(PERSON)
        consent = await world.consent(bike, "bike-deposit", person)
        key = world.private_keys[bike.id]
    acknowledged: dict[str, Answer] = {}

    for round_ in range(KILLS):
        with server_process(tmp_path, pair) as server:
            async with partner(server, bike.id, key) as client:
                enough = len(acknowledged) + ACKNOWLEDGED_BEFORE_EACH

                async def call(number: int, client: AsyncXinyi = client, round_: int = round_) -> None:
                    for turn in range(1000):
                        reference = f"CASE-{round_}-{number}-{turn}"
                        try:
                            answer = await client.checks.create(
                                scenario="bike-deposit", consent_id=consent.id, reference=reference
                            )
                        except ConnectionFailed:
                            return
                        acknowledged[reference] = answer

                calls = [asyncio.create_task(call(number)) for number in range(CALLERS)]
                while len(acknowledged) < enough:
                    await asyncio.wait(calls, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
                    assert not any(task.done() for task in calls), [task for task in calls if task.done()]
                server.kill()
                await asyncio.gather(*calls)

    assert len(acknowledged) >= KILLS * ACKNOWLEDGED_BEFORE_EACH
    with server_process(tmp_path, pair) as server:
        async with partner(server, bike.id, key) as client:
            keys = await client.ledger.jwks()
            found = await asyncio.gather(*(client.checks.get(answer.id) for answer in acknowledged.values()))
            for (reference, answer), again in zip(acknowledged.items(), found, strict=True):
                assert again == answer
                assert verify_receipt(str(again.receipt), keys, answer=again, reference=reference).id == answer.id
    verdict = xinyi(tmp_path, pair, "ledger", "verify")
    assert verdict.returncode == 0, verdict.stdout
    assert "0 erased" in verdict.stdout
    assert await _counts(pair.settings(tmp_path), person.id) == (1, 0)


async def _counts(settings: Settings, subject_id: str) -> tuple[float, int]:
    """Uses counted per check stored (1 when none was lost or doubled), and checks without a leaf of their own."""
    services = Services.build(settings)
    async with services.opened(), services.database.read() as tx:
        stored = (await tx.execute(select(func.count()).select_from(checks))).scalar_one()
        leaves = select(func.count()).select_from(ledger_leaves).where(ledger_leaves.c.kind == "check")
        (consent,) = await services.consents.of_subject(subject_id)
        return consent.use_count / stored, stored - (await tx.execute(leaves)).scalar_one()

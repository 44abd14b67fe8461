"""Who changes the same records waits for the other, and no two ever wait for each other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.pairs import Servers
from tests.unit.records.conftest import COMPANY, Desk, row
from xinyi.kernel.errors import Code, XinyiError
from xinyi.records import turns
from xinyi.records.amendments import Correction
from xinyi.records.model import Dispute, DisputeState, Settler
from xinyi.storage import sql
from xinyi.storage.database import Database
from xinyi.subjects import repo as subjects_repo

pytestmark = pytest.mark.anyio

TITLE: dict[str, str | int | bool] = {"title": "示例市文明单位", "level": "municipal", "date": "2026-01-01"}
PUT_RIGHT = Correction(region="990001", observed_at="2026-10-29", fields={**TITLE, "level": "county"})
Act = Callable[[Desk, AsyncConnection], Awaitable[object]]
OUTCOMES = (DisputeState.UPHELD, DisputeState.CORRECTED, DisputeState.WITHDRAWN)


async def contested(desk: Desk, ref: str = "ref-1") -> Dispute:
    """An honour of the company that it contests."""
    await desk.send([row(record_type="HONOUR", source_ref=ref, fields=TITLE)])
    [record] = [each for each in await desk.of(COMPANY) if each.source_ref == ref]
    async with desk.database.transaction() as tx:
        subject_id = await desk.subjects.ensure(tx, COMPANY)
        return await desk.disputes.open(tx, subject_id, record.id)


async def answer(desk: Desk, tx: AsyncConnection, dispute: Dispute, outcome: DisputeState) -> Dispute:
    said = PUT_RIGHT if outcome is DisputeState.CORRECTED else None
    return await desk.disputes.answer(tx, dispute.id, outcome, "已核对", by=Settler.SOURCE, correction=said)


async def correct(desk: Desk, tx: AsyncConnection, record_id: str) -> None:
    await desk.amendments.correct(tx, "bureau", record_id, PUT_RIGHT)


async def withdraw(desk: Desk, tx: AsyncConnection, record_id: str) -> None:
    await desk.amendments.withdraw(tx, "bureau", record_id)


async def repair(desk: Desk, tx: AsyncConnection, record_id: str) -> None:
    """Everything of the record's type goes."""
    await desk.amendments.repair(tx, "bureau", COMPANY, ["HONOUR"], [])


@pytest.fixture
async def big_desk(servers: Servers, tmp_path: Path) -> AsyncIterator[Desk]:
    """A source on PostgreSQL, where several write at a time."""
    database = Database(servers.database_url(tmp_path), pool_size=5)
    desk = Desk(database, tmp_path / "keys")
    await desk.add_source("bureau", "HONOUR")
    yield desk
    await database.close()


async def wait_for(desk: Desk, waiting: int) -> None:
    """Until so many transactions wait for their turn."""
    waits = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database AND d.datname = current_database()"
    async with asyncio.timeout(10), desk.database.read() as tx:
        while (await tx.exec_driver_sql(f"{waits} WHERE locktype = 'advisory' AND NOT granted")).scalar() != waiting:
            pass


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("amend", [correct, withdraw, repair])
async def test_a_source_may_answer_and_amend_at_once(big_desk: Desk, amend: Any, outcome: DisputeState) -> None:
    dispute = await contested(big_desk)

    async def answering() -> Dispute:
        async with big_desk.database.transaction() as tx:
            return await answer(big_desk, tx, dispute, outcome)

    async def amending() -> Code | None:
        try:
            async with big_desk.database.transaction() as tx:
                await amend(big_desk, tx, dispute.record_id)
        except XinyiError as error:
            return error.code
        return None

    async with big_desk.database.transaction() as tx:  # the subject is at the record: both wait, in this order
        await turns.of_records(tx, [dispute.record_id])
        first = asyncio.create_task(answering())
        await wait_for(big_desk, 1)
        second = asyncio.create_task(amending())
        await wait_for(big_desk, 2)
    assert (await first).state is outcome
    gone = outcome is DisputeState.WITHDRAWN and amend is not repair
    assert await second is (Code.NOT_FOUND if gone else None), "the answer came first"


async def test_everybody_takes_turns_in_one_order(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    disputes = [await contested(desk, f"ref-{number}") for number in range(6)]
    subject_id = disputes[0].subject_id
    taken: list[tuple[str, ...]] = []
    take, lock = sql.take_turns, subjects_repo.lock

    async def recorded_take(tx: AsyncConnection, name: str) -> None:
        taken.append(("1 source",) if name.startswith("records of ") else ("2 record", name))
        await take(tx, name)

    async def recorded_lock(tx: AsyncConnection, subject_ids: Collection[str]) -> None:
        taken.append(("3 subjects",))
        await lock(tx, subject_ids)

    monkeypatch.setattr(turns, "take_turns", recorded_take)
    monkeypatch.setattr(subjects_repo, "lock", recorded_lock)
    acts: list[Act] = [
        partial(answer, dispute=dispute, outcome=outcome)
        for dispute, outcome in zip(disputes[:3], OUTCOMES, strict=True)
    ]
    acts.append(lambda desk, tx: desk.disputes.take_back(tx, subject_id, disputes[3].id))
    acts.append(lambda desk, tx: desk.disputes.open(tx, subject_id, disputes[3].record_id))
    acts.append(lambda desk, tx: desk.records.suppress(tx, subject_id, disputes[4].record_id))
    acts.extend(partial(act, record_id=disputes[5].record_id) for act in (correct, withdraw, repair))
    for act in acts:
        taken.clear()
        async with desk.database.transaction() as tx:
            await act(desk, tx)
        asked = list(dict.fromkeys(taken))  # what one has already is no wait
        assert asked == sorted(asked), act
        assert asked, act
    taken.clear()
    await desk.send([row(record_type="HONOUR", source_ref="new", fields=TITLE)])
    assert taken == [("1 source",), ("3 subjects",)]

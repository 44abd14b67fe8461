"""What became of an import's lines is kept for its source, and that it sent them as long as the law asks."""

import io
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.unit.records.conftest import COMPANY, Desk, ndjson, row
from xinyi.kernel.errors import Code, XinyiError
from xinyi.records import imports, journal
from xinyi.records.model import LINES_KEPT, RecordBatch
from xinyi.records.rows import Format
from xinyi.records.tables import record_batch_chunks, record_batch_rejections, record_batches
from xinyi.storage.kept import AUDIT_KEPT, GRACE

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
TABLES = (record_batches, record_batch_chunks, record_batch_rejections)
ROWS = [row(), row(source_ref="ref-2", region="x")]


async def kept(desk: Desk) -> list[int]:
    async with desk.database.read() as tx:
        return [(await tx.execute(select(func.count()).select_from(table))).scalar_one() for table in TABLES]


async def told(desk: Desk, batch: RecordBatch) -> tuple[bool, bool]:
    """Whether its source is told of the import, and of its lines."""
    try:
        found = await desk.imports.batch("bureau", batch.id)
    except XinyiError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return False, False
    try:
        return True, len(await desk.imports.rejections(found, after_line=0, limit=5)) == 1
    except XinyiError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return True, False


async def test_lines_go_first_and_the_import_after_five_years(desk: Desk) -> None:
    batch = await desk.send(ROWS)
    desk.clock.advance(LINES_KEPT - SECOND)
    assert (await desk.imports.sweep(), await told(desk, batch)) == (0, (True, True))
    desk.clock.advance(SECOND)
    assert await told(desk, batch) == (True, False), "whether or not the sweep has been here"
    desk.clock.advance(GRACE)
    assert await desk.imports.sweep() == 0, "whoever reads them may end"
    desk.clock.advance(SECOND)
    assert (await desk.imports.sweep(), await kept(desk)) == (2, [1, 0, 0])
    assert (await told(desk, batch), (await desk.imports.batch("bureau", batch.id)).rejected) == ((True, False), 1)

    desk.clock.advance(batch.created_at + AUDIT_KEPT - SECOND - desk.clock.now())
    assert await told(desk, batch) == (True, False)
    desk.clock.advance(SECOND)
    assert await told(desk, batch) == (False, False)
    desk.clock.advance(GRACE)
    assert await desk.imports.sweep() == 0
    desk.clock.advance(SECOND)
    assert (await desk.imports.sweep(), await kept(desk)) == (1, [0, 0, 0])
    assert len(await desk.of(COMPANY)) == 1, "the record itself is no part of it"


async def test_what_was_interrupted_may_go_on_and_keeps_its_lines(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "CHUNK", 1)
    advance = journal.advance

    async def once(tx: Any, batch_id: str, first_line: int, verdicts: str) -> bool:
        return first_line == 1 and await advance(tx, batch_id, first_line, verdicts)

    batch = await desk.imports.open_once("bureau", Format.NDJSON, "digest", "key")
    with monkeypatch.context() as patch:
        patch.setattr(journal, "advance", once)
        with pytest.raises(XinyiError):
            await desk.imports.run(batch, io.BytesIO(ndjson(ROWS)))
    desk.clock.advance(2 * LINES_KEPT)
    assert (await desk.imports.sweep(), await kept(desk)) == (0, [1, 1, 0])
    again = await desk.imports.open_once("bureau", Format.NDJSON, "digest", "key")
    assert (again.id, (await desk.imports.run(again, io.BytesIO(ndjson(ROWS)))).rows) == (batch.id, 2)
    assert [each.line async for each in desk.imports.report(batch.id)] == [1, 2]


@pytest.mark.parametrize("swept", [False, True])
async def test_after_five_years_the_same_file_is_another_import(desk: Desk, swept: bool) -> None:
    batch = await desk.imports.open_once("bureau", Format.NDJSON, "digest", "key")
    desk.clock.advance(AUDIT_KEPT + GRACE + SECOND)
    if swept:
        assert await desk.imports.sweep() == 1
    again = await desk.imports.open_once("bureau", Format.NDJSON, "digest", "key")
    assert again.id != batch.id
    assert (await desk.imports.open_once("bureau", Format.NDJSON, "digest", "key")).id == again.id


async def test_after_five_years_an_interrupted_import_begins_anew(desk: Desk) -> None:
    batch = await desk.imports.open("bureau", Format.NDJSON, "digest")
    desk.clock.advance(AUDIT_KEPT - SECOND)
    assert (await desk.imports.open("bureau", Format.NDJSON, "digest")).id == batch.id
    desk.clock.advance(SECOND)
    assert (await desk.imports.open("bureau", Format.NDJSON, "digest")).id != batch.id


async def test_no_transaction_removes_more_than_a_part(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "AT_ONCE", 2)
    monkeypatch.setattr(imports, "CHUNK", 1)
    for _ in range(2):
        await desk.send([*ROWS, row(source_ref="ref-3", region="x")])
    assert await kept(desk) == [2, 6, 4]
    parts = []

    def counted(remove: Any) -> Any:
        async def counting(*given: Any) -> int:
            parts.append(await remove(*given))
            return int(parts[-1])

        return counting

    for name in ("remove_lines", "remove_batches"):
        monkeypatch.setattr(journal, name, counted(getattr(journal, name)))
    desk.clock.advance(AUDIT_KEPT + GRACE + SECOND)
    assert (await desk.imports.sweep(), max(parts)) == (2 + 6 + 4, 2)
    assert await kept(desk) == [0, 0, 0]

"""What a subject keeps off the record stays off for the fact, however sources send, change and take back records."""

import asyncio
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from tests.support.statements import statements_of
from tests.unit.records.conftest import COMPANY, OTHER, Desk, row
from xinyi.records import repo
from xinyi.records.amendments import Correction, RepairedRecord
from xinyi.records.model import Verdict
from xinyi.records.tables import kept_off
from xinyi.sandbox import identities
from xinyi.subjects.model import Identifier

pytestmark = pytest.mark.anyio

FIELDS: dict[str, str | int | bool] = {"title": "示例市文明单位", "level": "municipal", "date": "2026-01-01"}


def honour(ref: str, at: str = "2026-10-01", who: Identifier = COMPANY, **changes: str) -> dict[str, Any]:
    fields = {**FIELDS, **changes}
    return row(record_type="HONOUR", source_ref=ref, observed_at=at, fields=fields, subject=who.value)


async def off(desk: Desk, who: Identifier = COMPANY) -> dict[str, bool]:
    """By source_ref: whether the record is kept off."""
    return {record.source_ref: record.suppressed_at is not None for record in await desk.of(who)}


async def change(desk: Desk, what: str, ref: str, who: Identifier = COMPANY) -> None:
    [record_id] = [record.id for record in await desk.of(who) if record.source_ref == ref]
    async with desk.database.transaction() as tx:
        await getattr(desk.records, what)(tx, await desk.subjects.ensure(tx, who), record_id)


async def wishes(desk: Desk) -> int:
    async with desk.database.read() as tx:
        return len((await tx.execute(select(kept_off))).all())


@pytest.fixture
async def wished(desk: Desk) -> None:
    """The company keeps the honour off that came as ``first``."""
    await desk.add_source("other", "HONOUR")
    await desk.send([honour("first")])
    await change(desk, "suppress", "first")


@pytest.mark.usefixtures("wished")
async def test_the_same_honour_is_kept_off_under_another_number_and_from_another_source(desk: Desk) -> None:
    await desk.send([honour("again", "2026-10-02"), honour("level", level="county")])
    await desk.send([honour("elsewhere")], source="other")
    assert await off(desk) == dict.fromkeys(("first", "again", "level", "elsewhere"), True)


@pytest.mark.usefixtures("wished")
@pytest.mark.parametrize("title", ["“示例市文明单位”", "示例市 文明单位", "示例市文明单位（2026）"])
async def test_marks_and_blanks_in_a_title_make_no_other_honour_and_words_do(desk: Desk, title: str) -> None:
    await desk.send([honour("again", title=title)])
    assert (await off(desk))["again"] is ("2026" not in title)


@pytest.mark.usefixtures("wished")
async def test_other_honours_and_others_honours_count(desk: Desk) -> None:
    await desk.send(
        [honour("title", title="示例市先进集体"), honour("date", date="2025-01-01"), honour("o", who=OTHER)]
    )
    assert await off(desk) == {"first": True, "title": False, "date": False}
    assert await off(desk, OTHER) == {"o": False}


@pytest.mark.usefixtures("wished")
@pytest.mark.parametrize("ref", ["first", "again"])
async def test_it_is_kept_off_when_it_was_taken_back_or_repaired_in_between(desk: Desk, ref: str) -> None:
    [record] = await desk.of(COMPANY)
    async with desk.database.transaction() as tx:
        await desk.amendments.withdraw(tx, "bureau", record.id)
    await desk.send([honour(ref, "2026-10-02")])
    assert await off(desk) == {ref: True}
    said = RepairedRecord(
        record_type="HONOUR", source_ref=f"{ref}-repaired", region="990001", observed_at="2026-10-03", fields=FIELDS
    )
    async with desk.database.transaction() as tx:
        await desk.amendments.repair(tx, "bureau", COMPANY, ["HONOUR"], [said])
    assert await off(desk) == {f"{ref}-repaired": True}
    assert await wishes(desk) == 1


@pytest.mark.usefixtures("wished")
async def test_the_wish_follows_what_a_source_puts_right(desk: Desk) -> None:
    [record] = await desk.of(COMPANY)
    right = Correction(region="990001", observed_at="2026-10-02", fields={**FIELDS, "title": "示例省文明单位"})
    async with desk.database.transaction() as tx:
        await desk.amendments.correct(tx, "bureau", record.id, right)
    await desk.send([honour("as-it-was"), honour("as-it-is", title="示例省文明单位")])
    await desk.send([honour("first", "2026-10-03", date="2025-12-31")])
    await desk.send([honour("newest", date="2025-12-31", title="示例省文明单位"), honour("mixed", date="2025-12-31")])
    assert await off(desk) == {
        "first": True,
        "as-it-was": True,
        "as-it-is": True,
        "mixed": True,
        "newest": False,
    }


@pytest.mark.usefixtures("wished")
async def test_a_record_that_comes_to_say_the_same_is_kept_off(desk: Desk) -> None:
    await desk.send([honour("other", title="示例市先进集体")])
    assert not (await off(desk))["other"]
    await desk.send([honour("other", "2026-10-02")])
    assert (await off(desk))["other"]


@pytest.mark.usefixtures("wished")
async def test_who_lets_one_count_again_lets_the_honour_count(desk: Desk) -> None:
    await desk.send([honour("again")])
    await change(desk, "unsuppress", "again")
    await desk.send([honour("later")])
    assert await off(desk) == {"first": False, "again": False, "later": False}
    assert await wishes(desk) == 0


async def test_to_keep_one_off_keeps_off_what_says_the_same(desk: Desk) -> None:
    await desk.send([honour("one"), honour("two"), honour("other", title="示例市先进集体")])
    for _ in range(2):
        await change(desk, "suppress", "two")
    assert await off(desk) == {"one": True, "two": True, "other": False}
    assert await wishes(desk) == 1


async def test_what_grows_is_one_fact(desk: Desk) -> None:
    """A volunteer's hours: a higher band under another number is what they keep off already."""
    person = identities.person(1, date(1990, 5, 1), 1)
    await desk.add_source("civil", "VOLUNTEER")

    async def send(ref: str, band: str) -> None:
        sent = row(record_type="VOLUNTEER", source_ref=ref, subject=person.value, fields={"hours_band": band})
        assert [each.verdict for each in await desk.verdicts([sent], source="civil")] == [Verdict.ACCEPTED]

    await send("2025", "h20-99")
    await change(desk, "suppress", "2025", person)
    await send("2026", "h100-299")
    assert await off(desk, person) == {"2025": True, "2026": True}


async def test_a_wish_says_nothing_of_the_honour_and_is_each_subjects_own(desk: Desk) -> None:
    await desk.send([honour("one"), honour("two", who=OTHER)])
    await change(desk, "suppress", "one")
    await change(desk, "suppress", "two", OTHER)
    async with desk.database.read() as tx:
        stored = [tuple(each) for each in await tx.execute(select(kept_off))]
    assert len({each[1] for each in stored}) == 2
    assert "示例" not in repr(stored)


async def test_a_source_meets_the_same_with_and_without_a_wish(desk: Desk) -> None:
    await desk.send([honour("first"), honour("first-o", who=OTHER)])
    await change(desk, "suppress", "first")
    told = []
    for who, ref in ((COMPANY, "first"), (OTHER, "first-o")):
        with statements_of(desk.database) as statements:
            verdicts = await desk.verdicts(
                [honour(f"{ref}-again", who=who), honour(ref, "2026-10-02", who=who, title="示例市先进集体")]
            )
        told.append((statements, verdicts))
    assert told[0] == told[1]
    assert set((await off(desk)).values()) == {True}
    assert set((await off(desk, OTHER)).values()) == {False}


async def test_a_wish_waits_for_an_import_that_has_looked_for_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    obey, looked, wished = repo.obey, asyncio.Event(), asyncio.Event()

    async def slowly(*given: Any) -> None:
        await obey(*given)
        looked.set()
        await wished.wait()

    await desk.send([honour("first")])
    with monkeypatch.context() as patch:
        patch.setattr(repo, "obey", slowly)
        importing = asyncio.create_task(desk.send([honour("again")]))
        await looked.wait()
    wishing = asyncio.create_task(change(desk, "suppress", "first"))
    await asyncio.wait([wishing], timeout=0.2)  # if it didn't wait, it would be through by now
    wished.set()
    await asyncio.gather(importing, wishing)
    assert await off(desk) == {"first": True, "again": True}

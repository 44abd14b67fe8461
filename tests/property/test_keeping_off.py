"""Whatever sources send, change and take back: what is kept off is what there is a wish for, fact by fact."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.support.pairs import Pair
from tests.unit.records.conftest import COMPANY, Desk, row
from xinyi.records.amendments import Correction, RepairedRecord
from xinyi.records.model import StoredRecord
from xinyi.storage.database import Database

SOURCES = ("bureau", "other")
REFS = ("a", "b", "c")
HONOURS = ("甲", "乙", "丙")

Key = tuple[str, str]


class Step(Struct, frozen=True):
    """One thing that happens: ``what`` to the record of this source with this ref, about this honour."""

    what: str
    source: str
    ref: str
    honour: str


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["send", "send", "correct", "repair", "withdraw", "suppress", "suppress", "unsuppress"]),
        st.sampled_from(SOURCES),
        st.sampled_from(REFS),
        st.sampled_from(HONOURS),
    ),
    max_size=14,
)


class Told(Struct):
    """What is to be: the honour of each record, and the honours that are kept off."""

    records: dict[Key, str] = {}
    wishes: set[str] = set()

    def says(self, key: Key, honour: str) -> None:
        """A record says this now. Where it was kept off, it stays so, and so does whatever says the same."""
        if self.records.get(key) in self.wishes:
            self.wishes.add(honour)
        self.records[key] = honour

    def apply(self, step: Step) -> None:
        key = (step.source, step.ref)
        known = self.records.get(key)
        match step.what:
            case "send":
                self.says(key, step.honour)
            case "repair":
                for other in [each for each in self.records if each[0] == step.source and each != key]:
                    del self.records[other]
                self.says(key, step.honour)
            case _ if known is None:
                return
            case "correct":
                self.says(key, step.honour)
            case "withdraw":
                del self.records[key]
            case "suppress":
                self.wishes.add(known)
            case "unsuppress":
                self.wishes.discard(known)

    @property
    def kept_off(self) -> dict[Key, bool]:
        return {key: honour in self.wishes for key, honour in self.records.items()}


@settings(max_examples=30, deadline=None)
@given(steps)
def test_a_record_is_kept_off_exactly_when_its_honour_is(pair: Pair, steps: list[Step]) -> None:
    asyncio.run(_play(pair, steps))


async def _play(pair: Pair, steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(pair.database_url(Path(folder)))
        try:
            desk = Desk(database, Path(folder) / "keys")
            for source in SOURCES:
                await desk.add_source(source, "HONOUR")
            told = Told()
            for number, step in enumerate(steps):
                await _do(desk, step, f"2026-10-01T00:00:{number:02}+08:00")
                told.apply(step)
                records = await desk.of(COMPANY)
                stored = {(each.source_id, each.source_ref): each.suppressed_at is not None for each in records}
                assert stored == told.kept_off, step
        finally:
            await database.close()


async def _do(desk: Desk, step: Step, at: str) -> None:
    said: dict[str, Any] = {"region": "990001", "observed_at": at, "fields": _fields(step.honour)}
    if step.what == "send":
        sent = row(record_type="HONOUR", source_ref=step.ref, **said)
        assert (await desk.send([sent], source=step.source)).rejected == 0
        return
    record = next((each for each in await desk.of(COMPANY) if _is(each, step)), None)
    async with desk.database.transaction() as tx:
        subject_id = await desk.subjects.ensure(tx, COMPANY)
        if step.what == "repair":
            counts = RepairedRecord(record_type="HONOUR", source_ref=step.ref, **said)
            await desk.amendments.repair(tx, step.source, COMPANY, ["HONOUR"], [counts])
        elif record is None:
            return
        elif step.what == "correct":
            await desk.amendments.correct(tx, step.source, record.id, Correction(**said))
        elif step.what == "withdraw":
            await desk.amendments.withdraw(tx, step.source, record.id)
        else:
            await getattr(desk.records, step.what)(tx, subject_id, record.id)


def _is(record: StoredRecord, step: Step) -> bool:
    return (record.source_id, record.source_ref) == (step.source, step.ref)


def _fields(honour: str) -> dict[str, str | int | bool]:
    return {"title": honour, "level": "county", "date": "2026-01-01"}

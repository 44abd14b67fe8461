"""What subjects keep off their record (不予记入), however often and by whomever it is sent again.

The wish is for a fact, such as one honour, not for the row that a source sent: what the data list calls the type's
``identity`` tells one fact from another. The wish outlives the record, so only a keyed hash says which fact it is for.
After every change one rule holds: a record is kept off exactly when there is a wish for its fact.

Sources learn nothing of it: what they send meets the same statements whether or not there is a wish.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ..catalogue.service import Catalogue
from ..kernel.canonical import canonical_json
from ..kernel.clock import Clock
from ..subjects.service import SubjectService
from . import journal, repo
from .model import StoredRecord, Wish


class KeptOff:
    """Subjects' wishes. Every method works inside the caller's unit of work."""

    def __init__(self, clock: Clock, *, subjects: SubjectService, catalogue: Catalogue) -> None:
        self._clock = clock
        self._subjects = subjects
        self._catalogue = catalogue

    async def keep_off(self, tx: AsyncConnection, subject_id: str, record: StoredRecord) -> None:
        """Keeps the fact of this record off: the same as others sent it, and as it will be sent again."""
        await self.take_turn(tx, [subject_id])
        alike = await repo.of_type(tx, subject_id, record.record_type)
        await repo.set_facts(tx, {each.id: self.fact(subject_id, each.record_type, each.fields) for each in alike})
        await repo.add_wish_for(tx, record.id, self._clock.now())
        await repo.obey(tx, [subject_id], self._clock.now())

    async def count_again(self, tx: AsyncConnection, subject_id: str, record: StoredRecord) -> None:
        """Takes the wish for the fact of this record back: what says the same counts as well."""
        await self.take_turn(tx, [subject_id])
        fact = self.fact(subject_id, record.record_type, record.fields)
        await repo.remove_wish(tx, subject_id, fact)
        await repo.unset_suppressed(tx, subject_id, record.id, fact)

    async def store(
        self, tx: AsyncConnection, inserts: Sequence[Mapping[str, Any]], updates: Sequence[Mapping[str, Any]]
    ) -> None:
        """Writes what a source sent, new rows and changed ones, as the journal does, and obeys the wishes.

        Where a source changes what a record says that is kept off, the wish follows.
        """
        inserts, updates = [self._with_fact(row) for row in inserts], [self._with_fact(row) for row in updates]
        concerned = {row["subject_id"] for row in (*inserts, *updates) if row["fact"] is not None}
        if concerned:
            await self.take_turn(tx, concerned)
        await journal.insert_records(tx, inserts)
        await journal.update_records(tx, updates)
        if concerned:
            await repo.follow(tx, concerned, self._clock.now())
            await repo.obey(tx, concerned, self._clock.now())

    async def take_turn(self, tx: AsyncConnection, subject_ids: Collection[str]) -> None:
        """Until the transaction ends nobody else changes these subjects' wishes, nor sends what one may be for.

        Call it before any of their records is changed, and after the other ``turns``.
        """
        await self._subjects.take_turn(tx, subject_ids)

    async def of_subject(self, tx: AsyncConnection, subject_id: str) -> list[Wish]:
        """The wishes of a subject, oldest first."""
        return await repo.wishes_of(tx, subject_id)

    def fact(self, subject_id: str, record_type: str, fields: Mapping[str, Any]) -> str:
        """Which fact it is: the same for whatever tells of the same fact about this subject."""
        told = [record_type, *self._catalogue.get(record_type).identify(fields)]
        return self._subjects.mark(subject_id, canonical_json(told))

    def _with_fact(self, row: Mapping[str, Any]) -> dict[str, Any]:
        record_type = row["record_type"]
        is_ours = self._catalogue.get(record_type).suppressible
        return {**row, "fact": self.fact(row["subject_id"], record_type, row["fields"]) if is_ours else None}
